"""What a level of a store holds, for who looks after it: a folder, an object store."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from mlcx.store.entry import Entry

__all__ = ["Stock", "Stored", "in_order", "unpromised"]

_WRITING = 3600.0
"""Seconds that somebody may need between writing content and its entry."""


@dataclass(frozen=True)
class Stored:
    """An entry of a level."""

    entry: Entry
    used: float
    """When it was put in or, in a folder, last taken; seconds since 1970."""


class Stock(Protocol):
    """A level to look after: ``FolderStore``, ``RemoteStore``."""

    @property
    def name(self) -> str:
        """Where it is."""

    def stored(self) -> list[Stored]:
        """Return all entries, in their order; those that cannot be read not."""

    def check(self) -> Iterator[tuple[str, str]]:
        """Yield the key of each damaged entry, and what is wrong with it."""

    def remove(self, entries: list[Entry]) -> None:
        """Remove ``entries``, and all content that no entry promises any more."""


def in_order(entries: Iterable[Stored]) -> list[Stored]:
    """Return ``entries``, the one that was used last first."""
    return sorted(entries, key=lambda each: (-each.used, each.entry.key))


def unpromised(
    content: Mapping[str, float], kept: Iterable[Stored], dropped: Iterable[Entry]
) -> Iterator[str]:
    """Yield the SHA-256 of all content that no entry promises any more.

    Args:
        content: SHA-256 of what there is, and when it was written.
        kept: The entries that are left.
        dropped: Those that were just removed; other content may be about to get one.
    """
    wanted = {each.entry.sha256 for each in kept}
    forgotten, old = {entry.sha256 for entry in dropped}, time.time() - _WRITING
    for sha256, written in content.items():
        if sha256 not in wanted and (sha256 in forgotten or written < old):
            yield sha256
