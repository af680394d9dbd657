"""Sizes as people read them."""

from __future__ import annotations

__all__ = ["shown"]


def shown(count: int) -> str:
    """Return ``count`` bytes in the unit that fits, of 1024 each."""
    size = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{count} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
