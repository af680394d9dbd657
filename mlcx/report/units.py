"""Figures as people read and write them: bytes, seconds, how much they have changed."""

from __future__ import annotations

import re
import sys

__all__ = ["byte_count", "change", "duration", "size"]

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,3})?) ?(?:([kmgt])(i?))?b?", re.I | re.A)


def byte_count(text: str) -> int:
    """Return the bytes that ``text`` means: ``8G``, of 1000s, or ``512MiB``, of 1024s.

    Raises:
        ValueError: It is something else.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"expected a size such as 8G or 512MiB, found {text!r}")
    unit = " kmgt".index((found[2] or " ").lower())
    return int(float(found[1]) * (1024 if found[3] else 1000) ** unit)


def size(count: float | None) -> str:
    """Return ``count`` bytes in the unit that suits them; empty for None."""
    if count is None:
        return ""
    if count < 1000:
        return f"{count:.0f} B"
    count = min(count, sys.float_info.max)  # what a damaged file says is any number
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.5:
            return f"{count:.3g} {unit}" if count < 100 else f"{count:.0f} {unit}"
    return f"{count / 1000:.3g} TB"


def duration(seconds: float | None) -> str:
    """Return ``seconds`` as a person would say them; empty for None."""
    if seconds is None:
        return ""
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def change(old: float | None, new: float | None) -> str:
    """Return how many percent ``new`` differs by, after a comma; empty for none."""
    percent = round((new - old) / old * 100) if old and new is not None else 0
    return f", {percent:+d} %".replace("-", "\N{MINUS SIGN}") if percent else ""
