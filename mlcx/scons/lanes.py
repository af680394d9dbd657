"""The lanes of a build: places for the steps that run at one time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

__all__ = ["Lanes"]


class Lanes:
    """Hands out the lowest free number, so that there are as few as steps at a time."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._taken: set[int] = set()

    @contextlib.contextmanager
    def one(self) -> Iterator[int]:
        """Yield a lane that nobody else has meanwhile, from 0."""
        with self._guard:
            lane = next(n for n in range(len(self._taken) + 1) if n not in self._taken)
            self._taken.add(lane)
        try:
            yield lane
        finally:
            with self._guard:
                self._taken.discard(lane)
