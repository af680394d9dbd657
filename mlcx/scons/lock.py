"""One build at a time in a build folder.

The lock belongs to an open file that every step inherits, so that it is held until
the last step has ended, also when SCons itself was killed: no step left over from an
earlier build can write a target behind the back of the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from mlcx.scons.progress import Reporter

__all__ = ["NAME", "acquire"]

NAME = "lock"
"""Its file, in the build folder."""


def acquire(path: Path, reporter: Reporter) -> int:
    """Lock ``path``, wait while another build holds it, and return the descriptor."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        _lock(descriptor, path, reporter)
        if _is_current(descriptor, path):
            # For messages only: a disk that is full is no reason to stop yet.
            with contextlib.suppress(OSError):
                os.truncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()}\n".encode())
            return descriptor
        os.close(descriptor)


def _lock(descriptor: int, path: Path, reporter: Reporter) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
        reporter.note(f"waiting for the build of process {owner}, which holds {path}")
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _is_current(descriptor: int, path: Path) -> bool:
    """Whether ``path`` still names the locked file: a clean may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
