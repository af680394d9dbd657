"""Which files of a fetched model were held against their hashes, and how they looked.

A file that looks as it did then, by size, time of writing and inode, is not read again.
This is kept beside the files and not in what steps read, which is the same everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlcx.artifact import write_text
from mlcx.spec.digest import digest_file, state
from mlcx.spec.lock import LockedFile

__all__ = ["VERIFIED", "Look", "Verified", "look"]

Look = list[int]
"""How a file looks: equal as long as nobody writes to it; empty: there is none."""

VERIFIED = ".verified"


class Verified:
    """What is known of the files in one folder.

    Who writes holds a lock on the folder, from before this is made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / VERIFIED
        self._known = _read(self._file)
        self._written = dict(self._known)

    def lacking(self, files: Iterable[LockedFile]) -> list[LockedFile]:
        """Return those of ``files`` that are not there as they must be.

        Reads what was not verified yet, or was written to since; remembers the others.
        """
        return [file for file in files if not self._has(file)]

    def remember(self, file: LockedFile, before: Look) -> None:
        """Remember that ``file`` was found right, and how it looked ``before`` that.

        Not how it looks now: it may have been written to after it was read.
        """
        self._known[file.name] = [file.sha256, *before]

    def write(self) -> None:
        """Write down what is remembered, for the next run."""
        if self._known != self._written:
            text = json.dumps(self._known, indent=0, sort_keys=True)
            write_text(self._file, text)
            self._written = dict(self._known)

    def stands(self, name: str, sha256: str) -> bool:
        """Whether the file ``name`` was verified to be this, and looks as it did."""
        return self._known.get(name) == [sha256, *look(self._folder / name)]

    def is_touched(self, name: str) -> bool:
        """Whether the file ``name`` was verified, and no longer looks as it did."""
        known = self._known.get(name)
        return known is not None and known[1:] != look(self._folder / name)

    def _has(self, file: LockedFile) -> bool:
        if self.stands(file.name, file.sha256):
            return True
        path = self._folder / file.name
        before = look(path)
        try:
            same = before[:1] == [file.size] and digest_file(path) == file.sha256
        except OSError:
            return False
        if same:
            self.remember(file, before)
        return same


def look(path: Path) -> Look:
    """Return how ``path`` looks: to be taken before it is read."""
    try:
        found = path.stat()
    except OSError:
        return []
    return [*state(found)]


def _read(file: Path) -> dict[str, list[Any]]:
    """Return what ``note`` wrote; nothing when that is damaged: all is read again."""
    try:
        known = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {name: each for name, each in known.items() if isinstance(each, list)}
