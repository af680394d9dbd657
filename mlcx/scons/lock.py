"""One build at a time in a build folder, and in a folder of what is made.

A lock belongs to an open file that every step inherits, so that it is held until the
last step has ended, also when SCons itself was killed: no step left over from an
earlier build can write a target behind the back of the next one. The file goes when
the build ends; one that a killed build has left is taken over.

Folders of what is made may lie in one another. So a build also locks the folder itself,
and shares a lock of each folder that it lies in, from the top down.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from mlcx.artifact import LOCK
from mlcx.scons.progress import Reporter

__all__ = ["BUILD", "Locks", "alone", "locks"]

BUILD = ".mlcx-build-lock"
"""Its file, in the build folder, where nobody else has one that is called so.

Not as that of an output: each of two folders may be the build folder of one build and
the output of another.
"""


class Locks:
    """Of one process, which may build in several folders."""

    def __init__(self) -> None:
        self._held: dict[Path, int] = {}
        self._trees: dict[Path, int] = {}
        self._folders: list[Path] = []

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What steps must inherit."""
        return (*self._held.values(), *self._trees.values())

    def acquire(self, path: Path, reporter: Reporter) -> None:
        """Lock ``path`` unless it is, and wait while another build holds it.

        Raises:
            OSError: The file or its folder cannot be made.
        """
        real = path.parent.resolve() / path.name
        while real not in self._held:
            folders = (real.parent, *real.parent.parents)
            made = [each for each in folders if not each.exists()]
            real.parent.mkdir(parents=True, exist_ok=True)
            self._folders += made
            with contextlib.suppress(FileNotFoundError):  # its folder was removed again
                self._open(real, reporter)

    def acquire_output(self, folder: Path, reporter: Reporter) -> None:
        """Lock ``folder`` and all below it, as ``acquire`` does.

        What this process has locked already it does not lock again, whether it needs
        more of it now or not: two that do would wait for each other.

        Raises:
            OSError: The file or the folder cannot be made.
        """
        self.acquire(folder / LOCK, reporter)
        real = folder.resolve()
        for each in reversed([real, *real.parents]):
            if each not in self._trees and os.access(each, os.R_OK | os.W_OK):
                descriptor = os.open(each, os.O_RDONLY | os.O_CLOEXEC)
                self._trees[each] = descriptor
                _lock_tree(descriptor, each, real, reporter)

    def release(self) -> None:
        """Let all go, and remove their files, and folders that nothing was put in."""
        for descriptor in self._trees.values():
            os.close(descriptor)
        self._trees.clear()
        for path, descriptor in self._held.items():
            with contextlib.suppress(OSError):
                path.unlink()
            os.close(descriptor)
        emptied = [*self._folders, *(path.parent for path in self._held)]
        for folder in sorted(emptied, key=lambda path: len(path.parts), reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()
        self._held.clear()
        self._folders.clear()

    def _open(self, path: Path, reporter: Reporter) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _lock(descriptor, fcntl.LOCK_EX, lambda: _whom(path), reporter)
            if _is_current(descriptor, path):
                # For messages only: a disk that is full is no reason to stop yet.
                with contextlib.suppress(OSError):
                    os.truncate(descriptor, 0)
                    os.write(descriptor, f"{os.getpid()}\n".encode())
                self._held[path] = descriptor
        finally:
            if path not in self._held:
                os.close(descriptor)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let nobody else who asks so replace the file ``path`` meanwhile.

    The file itself is locked, so that no other one is left behind. Where it is not
    there yet, or its file system has no locks, nobody is kept off.
    """
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            while True:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                held.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if _is_current(descriptor, path):
                    break
        yield


@cache
def locks() -> Locks:
    """Return those of this process, which lets go of them after all else at its end."""
    made = Locks()
    atexit.register(made.release)
    return made


def _lock(
    descriptor: int, kind: int, whom: Callable[[], str], reporter: Reporter
) -> None:
    """Lock an open file or folder; ``whom`` says who is waited for."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        reporter.note(f"{whom()}; Ctrl-C to stop waiting")
        fcntl.flock(descriptor, kind)


def _lock_tree(descriptor: int, folder: Path, output: Path, reporter: Reporter) -> None:
    """Lock ``folder``: for this build alone if it is ``output``, else as one of many.

    Some file systems have no locks of folders: there only equal ones wait.
    """

    def whom() -> str:
        if folder == output:
            return f"waiting for a build into a folder of {_shown(folder)}"
        return _whom(folder / LOCK)

    kind = fcntl.LOCK_EX if folder == output else fcntl.LOCK_SH
    with contextlib.suppress(OSError):
        _lock(descriptor, kind, whom, reporter)


def _whom(path: Path) -> str:
    """Say who is waited for that holds the lock ``path``."""
    shown = _shown(path)
    try:
        owner = path.read_bytes()[:20].decode(errors="replace").strip()
        began = time.localtime(path.stat().st_mtime)
    except OSError:  # it has ended by now
        owner = ""
    if not (owner.isascii() and owner.isdecimal()):
        return f"waiting for the build that holds {shown}"
    since = f"{shown} since {time.strftime('%Y-%m-%d %H:%M:%S', began)}"
    if _runs(int(owner)):
        return f"waiting for the build of process {owner}, which holds {since}"
    return (
        f"waiting for the last steps of the build of process {owner}, which was "
        f"killed; they hold {since}"
    )


def _shown(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's
        return True
    return True


def _is_current(descriptor: int, path: Path) -> bool:
    """Whether ``path`` names the locked file: another build may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
