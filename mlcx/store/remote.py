"""The second level of a store: entries and content in an object store."""

from __future__ import annotations

from pathlib import Path

from mlcx.store.entry import CONTENT, ENTRIES, DamagedError, Entry, receive
from mlcx.store.objects import Objects

__all__ = ["RemoteStore"]


class RemoteStore:
    """What a folder's store is, for many machines; the first writer wins."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    @property
    def name(self) -> str:
        """Where it is."""
        return self._objects.url

    def find(self, key: str) -> Entry | None:
        """Return the entry of ``key``; None: there is none.

        Raises:
            DamagedError: It cannot be read.
        """
        text = self._objects.read(_entry(key))
        return None if text is None else Entry.parse(key, b"".join(text))

    def take(self, entry: Entry, target: Path) -> bool:
        """Make ``target`` of what ``entry`` promises; False: it is gone.

        Raises:
            DamagedError: It is something else; ``target`` is as it was.
        """
        blocks = self._objects.read(_content(entry))
        if blocks is None:
            return False
        receive(entry, blocks, target)
        return True

    def put(self, entry: Entry, file: Path, *, replace: bool = False) -> None:
        """Store ``file``, which ``entry`` describes; what others stored first stays.

        With ``replace``, what is there is removed before.
        """
        if replace:
            self.discard(entry.key)
        self._objects.write(_content(entry), file)
        self._objects.write(_entry(entry.key), entry.to_bytes())

    def discard(self, key: str) -> None:
        """Remove the entry of ``key`` and what it promises."""
        try:
            entry = self.find(key)
        except DamagedError:
            entry = None
        self._objects.remove(_entry(key))
        if entry is not None:
            self._objects.remove(_content(entry))


def _entry(key: str) -> str:
    return f"{ENTRIES}/{key}"


def _content(entry: Entry) -> str:
    return f"{CONTENT}/{entry.sha256}"
