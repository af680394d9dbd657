"""The first level of a store: a folder on this machine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from mlcx.artifact import replacing, write_bytes
from mlcx.store.entry import CONTENT, ENTRIES, DamagedError, Entry, receive
from mlcx.store.stock import Stored, in_order, unpromised

__all__ = ["FolderStore"]

_BLOCK = 1 << 20
_TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n"
"""What tells backups that a folder is a cache: https://bford.info/cachedir/"""


class FolderStore:
    """Entries and content in a folder, which is made when something is put in."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def name(self) -> str:
        """Where it is."""
        return str(self.root)

    def look_ahead(self, keys: Collection[str]) -> None:
        """Do nothing: a folder answers at once."""

    def find(self, key: str) -> Entry | None:
        """Return the entry of ``key``; None: there is none, or its content is gone.

        Raises:
            DamagedError: It cannot be read.
        """
        entry = self._promise(key)
        there = entry is not None and self.content(entry).exists()
        return entry if there else None

    def _promise(self, key: str) -> Entry | None:
        """Return the entry of ``key``, also if its content is gone."""
        try:
            text = self._entry(key).read_bytes()
        except FileNotFoundError:
            return None
        return Entry.parse(key, text)

    def take(self, entry: Entry, target: Path) -> bool:
        """Copy what ``entry`` promises to ``target``; False: it is gone.

        Raises:
            DamagedError: It is something else; ``target`` is as it was.
            BuildError: ``target`` cannot be written.
        """
        try:
            file = self.content(entry).open("rb")
        except FileNotFoundError:  # removed, maybe at this moment
            return False
        with file:
            receive(entry, _blocks(file), target)
        # Others are removed before it; where nothing may be written, nothing is.
        with contextlib.suppress(OSError):
            os.utime(self._entry(entry.key))
        return True

    def put(self, entry: Entry, file: Path, *, replace: bool = False) -> None:
        """Store ``file``, which ``entry`` describes; an entry that is there stays.

        With ``replace``, it is replaced, and so is one that nobody can take any more:
        that cannot be read, or whose content is gone.
        """
        if not (self.root / "CACHEDIR.TAG").exists():
            write_bytes(self.root / "CACHEDIR.TAG", _TAG)
        content, path = self.content(entry), self._entry(entry.key)
        if replace or not _has_size(content, entry.size):
            with file.open("rb") as stream:
                receive(entry, _blocks(stream), content)
        if replace or not self._stands(entry.key):
            with replacing(path) as temporary:
                temporary.write_bytes(entry.to_bytes())

    def discard(self, key: str) -> None:
        """Remove the entry of ``key`` and what it promises."""
        try:
            entry = self._promise(key)
        except DamagedError:
            entry = None
        self._entry(key).unlink(missing_ok=True)
        if entry is not None:
            self.content(entry).unlink(missing_ok=True)

    def stored(self) -> list[Stored]:
        """Return all entries, the one that was used last first; unreadable ones not."""
        found = (self._read(path) for path in self._files(ENTRIES))
        return in_order(each for each in found if each is not None)

    def check(self) -> Iterator[tuple[str, str]]:
        """Yield the key of each damaged entry, and what is wrong with it."""
        for path in self._files(ENTRIES):
            key = path.name
            try:
                entry = self._promise(key)
                wrong = "" if entry is None else self._wrong(entry)
            except DamagedError as error:
                wrong = str(error)
            if wrong:
                yield key, wrong

    def remove(self, entries: list[Entry]) -> None:
        """Remove ``entries``, and all content that no entry promises any more."""
        for entry in entries:
            self._entry(entry.key).unlink(missing_ok=True)
        content = {path.name: _time(path) for path in self._files(CONTENT)}
        for sha256 in unpromised(content, self.stored(), entries):
            self._content(sha256).unlink(missing_ok=True)

    def _stands(self, key: str) -> bool:
        """Whether what the entry of ``key`` promises is there."""
        try:
            return self.find(key) is not None
        except DamagedError:
            return False

    def content(self, entry: Entry) -> Path:
        """Return where the content of ``entry`` is."""
        return self._content(entry.sha256)

    def _content(self, sha256: str) -> Path:
        return self.root / CONTENT / sha256[:2] / sha256

    def _entry(self, key: str) -> Path:
        return self.root / ENTRIES / key[:2] / key

    def _files(self, kind: str) -> list[Path]:
        return sorted(path for path in (self.root / kind).glob("*/*") if path.is_file())

    def _read(self, path: Path) -> Stored | None:
        try:
            entry = self._promise(path.name)
            return None if entry is None else Stored(entry, _time(path))
        except (DamagedError, OSError):
            return None

    def _wrong(self, entry: Entry) -> str:
        try:
            found = Entry.of(entry.key, self.content(entry), entry.label)
        except FileNotFoundError:
            return f"{entry.label} is gone"
        return "" if found == entry else f"{entry.label} is damaged"


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _time(path: Path) -> float:
    return path.stat().st_mtime


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block
