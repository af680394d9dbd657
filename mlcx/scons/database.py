"""SCons' signatures in a file that is whole or known not to be: a module for SCons.

The file is that of ``SCons.dblite``, a pickle, which SCons' own tools read, with a
digest behind it. It is replaced in one go. One that is damaged is said to be so, and
costs the build nothing but work; one that cannot be written makes the run fail.
"""

from __future__ import annotations

import contextlib
import pickle
import sys
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import SCons.dblite
import SCons.SConsign
from SCons.compat import PICKLE_PROTOCOL

from mlcx.artifact import write_bytes
from mlcx.errors import BuildError
from mlcx.scons import ending
from mlcx.scons.lock import alone
from mlcx.scons.pickles import DamagedError, entries, folders
from mlcx.scons.progress import Console

__all__ = ["Database", "open", "read", "use", "where"]

_SUFFIX = ".dblite"
_MARK = b"mlcx-sha256:"
"""Between the pickle, after whose end no reader looks, and its digest."""


class Database:
    """Texts to bytes, all in memory until ``sync``; what SCons calls of it."""

    def __init__(self, path: Path, content: dict[str, bytes]) -> None:
        self._path = path
        self._content = content
        self._seen = _state(path)
        self._own: set[str] = set()
        """What was set here, also if it was written since."""
        self._changed = False
        self._fails = False

    def __getitem__(self, key: str) -> bytes:
        """Return what SCons is about to unpickle, in a way that runs what is named."""
        found = self._content[key]
        try:
            entries(found)
        except DamagedError as error:
            _unused(self._path, error)
            self._content = {each: self._content[each] for each in self._own}
            raise KeyError(key) from error
        return found

    def __setitem__(self, key: str, value: bytes) -> None:
        if self._content.get(key) != value:
            self._content[key] = value
            self._own.add(key)
            self._changed = True

    def keys(self) -> Iterable[str]:
        """Return the folders of which it knows files."""
        return self._content.keys()

    def sync(self) -> None:
        """Write what changed; say once when that fails."""
        if not self._changed:
            return
        with alone(self._path):
            self._write()

    def _write(self) -> None:
        self._take_in()
        body = pickle.dumps(self._content, PICKLE_PROTOCOL)
        try:
            write_bytes(self._path, body + _MARK + sha256(body).digest())
            self._seen, self._changed = _state(self._path), False
        except (OSError, BuildError) as error:
            self._fail(error)

    def _take_in(self) -> None:
        """Keep what a build with other folders has written since."""
        if self._seen == _state(self._path):
            return
        with contextlib.suppress(DamagedError):
            theirs = read(self._path)
            new = {key: theirs[key] for key in theirs.keys() - self._own}
            self._content.update(new)

    def close(self) -> None:
        """Do nothing: SCons has called ``sync``."""

    def _fail(self, error: Exception) -> None:
        if not self._fails:
            lost = "the next build makes again what this one makes"
            Console(silent=False).error(f"{error}: {lost}")
            ending.fail()
        self._fails = True


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def use() -> None:
    """Let SCons keep its signatures here, unless a script has chosen otherwise."""
    if SCons.SConsign.DB_Module is SCons.dblite:
        SCons.SConsign.DB_Module = sys.modules[__name__]


def where(top: Path) -> Path:
    """Return the file that holds the signatures of builds in the folder ``top``."""
    chosen = SCons.SConsign.DB_Name or SCons.SConsign.current_sconsign_filename()
    return top / f"{chosen}{_SUFFIX}"


def open(name: str, mode: str) -> Database:  # noqa: A001 (SCons calls it so)
    """Return the database in ``name`` with a suffix; for SCons, which asks so."""
    del mode
    path = Path(f"{name.removesuffix(_SUFFIX)}{_SUFFIX}")
    try:
        return Database(path, read(path))
    except DamagedError as error:
        _unused(path, error)
        return Database(path, {})


def _unused(path: Path, error: DamagedError) -> None:
    message = f"{path} {error}: it is not used, and all is made again"
    Console(silent=False).error(f"warning: {message}")


def read(path: Path) -> dict[str, bytes]:
    """Return what is in ``path``; nothing where there is no file.

    Raises:
        DamagedError: It is not what a build wrote.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DamagedError(f"cannot be read ({error.strerror})") from error
    body, mark, digest = data.rpartition(_MARK)
    if not mark:
        body = data  # SCons' own module wrote it
    elif sha256(body).digest() != digest:
        raise DamagedError("is damaged")
    return folders(body)
