"""The lanes of a build: places for the steps that run at one time.

SCons keeps to ``-j`` by the number of its threads. A step that only waits for an equal
one, which somebody else makes, does nothing: meanwhile another thread works in its
place, so that there are more threads than steps may run. What keeps to ``-j`` then are
the lanes.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from SCons.Taskmaster.Job import NewParallel

__all__ = ["Lanes", "replaced"]

_POLL = 0.25
"""Seconds after which one that waits looks whether the build was interrupted."""


class Lanes:
    """Hands out the lowest free number, so that there are as few as steps at a time."""

    def __init__(
        self,
        most: Callable[[], int] = lambda: 1 << 30,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take who knows how many steps may run at a time.

        Args:
            most: Returns that number.
            stopped: Whether the build was interrupted: then nobody waits any more.
        """
        self._most, self._stopped = most, stopped
        self._changed = threading.Condition()
        self._taken: set[int] = set()

    @contextlib.contextmanager
    def one(self) -> Iterator[int]:
        """Yield a lane that nobody else has meanwhile, from 0, when there is one."""
        with self._changed:
            while len(self._taken) >= self._most() and not self._stopped():
                self._changed.wait(_POLL)
            lane = next(n for n in range(len(self._taken) + 1) if n not in self._taken)
            self._taken.add(lane)
        try:
            yield lane
        finally:
            with self._changed:
                self._taken.discard(lane)
                self._changed.notify_all()


@contextlib.contextmanager
def replaced() -> Iterator[None]:
    """Let another thread of SCons look for work while this one of them waits.

    That thread stays until the end. So actions of a script that are no steps of ours,
    and take no lanes, may from then on be one more at a time than ``-j`` says, for each
    step that waited at one time. With ``-j1``, where SCons has no threads at all, and
    with its old scheduler, this does nothing: SCons cannot put a task that has begun
    back, to be tried again later.
    """
    loop = getattr(threading.current_thread(), "owner", None)
    if not isinstance(loop, NewParallel):
        yield
        return
    with loop.can_search_cv:
        loop.max_workers += 1
        if len(loop.workers) < loop.max_workers:
            loop._start_worker()
    try:
        yield
    finally:
        with loop.can_search_cv:
            loop.max_workers -= 1
