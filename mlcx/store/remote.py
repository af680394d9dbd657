"""The second level of a store: entries and content in an object store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from mlcx.store.entry import CONTENT, ENTRIES, DamagedError, Entry, receive
from mlcx.store.objects import Listed, Objects
from mlcx.store.stock import Stored, in_order, unpromised

__all__ = ["RemoteStore"]

_T = TypeVar("_T")
_R = TypeVar("_R")

_CONNECTIONS = 8
"""Requests at once, where there are many to make."""


class RemoteStore:
    """What a folder's store is, for many machines; the first writer wins."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._ahead: dict[str, bytes | None] = {}
        """What was answered, and not looked at yet."""

    @property
    def name(self) -> str:
        """Where it is."""
        return self._objects.url

    def look_ahead(self, keys: Collection[str]) -> None:
        """Ask for ``keys`` at once, so that ``find`` soon answers, the next time."""
        if len(keys) > 1:
            texts = self._objects.texts(map(_entry, keys))
            self._ahead.update(zip(keys, texts, strict=True))

    def find(self, key: str) -> Entry | None:
        """Return the entry of ``key``; None: there is none.

        Raises:
            DamagedError: It cannot be read.
        """
        known = key in self._ahead
        text = self._ahead.pop(key) if known else self._objects.text(_entry(key))
        return None if text is None else Entry.parse(key, text)

    def take(self, entry: Entry, target: Path) -> bool:
        """Make ``target`` of what ``entry`` promises; False: it is gone.

        Raises:
            DamagedError: It is something else; ``target`` is as it was.
            BuildError: ``target`` cannot be written.
        """
        blocks = self._objects.read(_content(entry))
        if blocks is None:
            return False
        receive(entry, blocks, target)
        return True

    def put(self, entry: Entry, file: Path, *, replace: bool = False) -> None:
        """Store ``file``, which ``entry`` describes; what others stored first stays.

        With ``replace`` its entry is replaced, and so is one that nobody can take any
        more: that cannot be read, or whose content is gone. Content stays, since other
        entries may promise it.
        """
        name, text = _entry(entry.key), entry.to_bytes()
        self._objects.write(_content(entry), file)
        if replace:
            self._objects.remove(name)
        if not self._objects.write(name, text) and not self._stands(entry.key):
            self._objects.remove(name)
            self._objects.write(name, text)

    def _stands(self, key: str) -> bool:
        """Whether what the entry of ``key`` promises is there."""
        try:
            entry = self.find(key)
        except DamagedError:
            return False
        return entry is not None and self._objects.holds(_content(entry))

    def discard(self, key: str) -> None:
        """Remove the entry of ``key`` and what it promises."""
        try:
            entry = self.find(key)
        except DamagedError:
            entry = None
        self._objects.remove(_entry(key))
        if entry is not None:
            self._objects.remove(_content(entry))

    def stored(self) -> list[Stored]:
        """Return all entries, the one that was put in last first; damaged ones not."""
        found = self._at_once(self._read, self._objects.listed(ENTRIES))
        return in_order(each for each in found if isinstance(each, Stored))

    def check(self) -> Iterator[tuple[str, str]]:
        """Yield the key of each damaged entry, and what is wrong with it."""
        for each in self._at_once(self._checked, self._objects.listed(ENTRIES)):
            if each is not None:
                yield each

    def remove(self, entries: list[Entry]) -> None:
        """Remove ``entries``, and all content that no entry promises any more."""
        list(self._at_once(self._objects.remove, map(_name_of, entries)))
        there = {_last(each): each.written for each in self._objects.listed(CONTENT)}
        for sha256 in unpromised(there, self.stored(), entries):
            self._objects.remove(f"{CONTENT}/{sha256}")

    def _read(self, listed: Listed) -> Stored | str | None:
        """Return an entry, what is wrong with it, or None: it is gone by now."""
        try:
            entry = self.find(_last(listed))
        except DamagedError as error:
            return str(error)
        return None if entry is None else Stored(entry, listed.written)

    def _checked(self, listed: Listed) -> tuple[str, str] | None:
        found = self._read(listed)
        wrong = self._wrong(found.entry) if isinstance(found, Stored) else found
        return (_last(listed), wrong) if wrong else None

    def _wrong(self, entry: Entry) -> str:
        blocks = self._objects.read(_content(entry))
        if blocks is None:
            return f"{entry.label} is gone"
        digest = hashlib.sha256()
        for block in blocks:
            digest.update(block)
        sound = digest.hexdigest() == entry.sha256
        return "" if sound else f"{entry.label} is damaged"

    def _at_once(self, do: Callable[[_T], _R], each: Iterable[_T]) -> Iterator[_R]:
        """Do something with each, several at once: it is far away."""
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            yield from pool.map(do, each)


def _last(listed: Listed) -> str:
    return listed.name.rpartition("/")[2]


def _name_of(entry: Entry) -> str:
    return _entry(entry.key)


def _entry(key: str) -> str:
    return f"{ENTRIES}/{key}"


def _content(entry: Entry) -> str:
    return f"{CONTENT}/{entry.sha256}"
