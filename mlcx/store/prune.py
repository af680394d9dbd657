"""Which entries of a store are not worth their space."""

from __future__ import annotations

from collections.abc import Iterable

from mlcx.store.stock import Stored

__all__ = ["content_bytes", "superfluous"]


def superfluous(stored: Iterable[Stored], since: float, limit: int) -> list[Stored]:
    """Return the entries to remove, the one that was used last first.

    Args:
        stored: All entries.
        since: Those not used since then go; seconds since 1970.
        limit: Then those used longest ago, until no more bytes than this are left.
    """
    counted: set[str] = set()
    total, going = 0, []
    for each in sorted(stored, key=lambda each: -each.used):
        # Content that an entry before this one keeps costs nothing more.
        size = 0 if each.entry.sha256 in counted else each.entry.size
        if each.used < since or total + size > limit:
            going.append(each)
        else:
            counted.add(each.entry.sha256)
            total += size
    return going


def content_bytes(stored: Iterable[Stored]) -> int:
    """Return the bytes of the content of ``stored``, equal content once."""
    return sum({each.entry.sha256: each.entry.size for each in stored}.values())
