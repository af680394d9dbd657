"""Whole numbers on a command line; others are refused with what would do."""

from __future__ import annotations

import argparse
from collections.abc import Callable

__all__ = ["count"]

_MOST = (1 << 31) - 1
"""As in the schemas of specs."""

_NONE = "-1"

_SHOWN = 12
"""Characters of what is refused."""


def count(least: int = 1, *, or_none: bool = False) -> Callable[[str], int]:
    """Return what reads a number from ``least`` on, or -1 where that may mean none."""
    expected = f"expected a whole number from {least} on"
    if or_none:
        expected += f", or {_NONE} for none"

    def read(text: str) -> int:
        if or_none and text == _NONE:
            return int(text)
        fits = text.isdecimal() and len(text) <= len(str(_MOST))
        if not fits or not least <= int(text) <= _MOST:
            shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
            raise argparse.ArgumentTypeError(f"{expected}, found {shown!r}")
        return int(text)

    return read
