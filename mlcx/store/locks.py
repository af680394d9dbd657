"""Locks on what is being made, so that of many who want the same only one makes it.

A lock is one of the file system, which ends with the process that holds it. It saves
work and keeps nothing right: where there can be none, two make the same, and both are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import FileLock

__all__ = ["LOCKS", "Locks", "Waiting"]

LOCKS = "locks"
"""The folder of locks, in that of a cache."""

Waiting = Callable[[], bool]
"""Called while somebody else holds a lock; True: do not wait any longer."""

_PATIENCE = 0.5
"""Seconds between two of those calls."""


class Locks:
    """A lock for each key, in a folder that is made with the first one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def held(self, key: str, waiting: Waiting) -> Iterator[None]:
        """Hold the lock of ``key``, which somebody else may have to let go first.

        Threads of one process exclude each other too. Nothing is held where no lock
        can be made, or when ``waiting`` has said so.
        """
        # Who finds what it looks for comes by without a lock, and loads no library.
        from filelock import FileLock  # noqa: PLC0415

        path = self._folder / key
        lock = FileLock(path)
        with contextlib.suppress(OSError, NotImplementedError):
            path.parent.mkdir(parents=True, exist_ok=True)
            _acquire(lock, waiting)
        try:
            yield
            # What it guards is stored now, and the next one looks before it makes it.
            if lock.is_locked:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
        finally:
            lock.release()


def _acquire(lock: FileLock, waiting: Waiting) -> None:
    there = _tried(lock, 0)
    while not there and not waiting():
        there = _tried(lock, _PATIENCE)


def _tried(lock: FileLock, patience: float) -> bool:
    from filelock import Timeout  # noqa: PLC0415

    try:
        lock.acquire(timeout=patience)
    except Timeout:
        return False
    return True
