"""No more steps at a time than fit in memory, in the order in which they came."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from mlcx.errors import UsageError
from mlcx.report.units import byte_count

__all__ = ["Memory", "parse"]

_POLL = 0.25
"""Seconds after which one that waits looks whether the build was interrupted."""
_PATIENCE = 10.0
"""Seconds after which it says that it waits."""


def parse(text: str, name: str = "MEMORY") -> float | None:
    """Return the bytes that ``text`` means, as ``byte_count``; inf for ``none``.

    None: it says nothing.

    Raises:
        UsageError: It is something else; says of which variable or option, ``name``.
    """
    if text in ("", "none"):
        return None if not text else float("inf")
    try:
        size = byte_count(text)
    except ValueError:
        size = 0
    if not size:
        message = f"expected a size such as 8G or 512MiB, or none, found {text!r}"
        raise UsageError(f"{name}: {message}")
    return size


class Memory:
    """What is there, handed out to steps. One that runs alone gets what it needs."""

    def __init__(
        self,
        limit: Callable[[], float | None],
        stopped: Callable[[], bool],
        patience: float = _PATIENCE,
    ) -> None:
        """Take who knows how much there is.

        Args:
            limit: Returns the bytes that steps may take together, which is asked
                whenever none runs; None: nobody knows, and none ever waits.
            stopped: Whether the build was interrupted: then nobody waits any more.
            patience: Seconds after which a step says that it waits.
        """
        self._ask, self._stopped, self._patience = limit, stopped, patience
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        self._running = 0
        self._held = 0
        self._limit: float | None = None

    @contextlib.contextmanager
    def holding(
        self, need: int, say: Callable[[int, float], None] = lambda *_: None
    ) -> Iterator[None]:
        """Hold ``need`` bytes, as soon as they are there and all before have theirs.

        ``say`` is told what others hold, and of how much, when that takes long.
        """
        self._take(need, say)
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._held -= need
                self._changed.notify_all()

    def _take(self, need: int, say: Callable[[int, float], None]) -> None:
        ticket, begin, said = object(), time.monotonic(), False
        with self._changed:
            self._waiting.append(ticket)
            try:
                while not (self._fits(ticket, need) or self._stopped()):
                    self._changed.wait(_POLL)
                    if not said and time.monotonic() > begin + self._patience:
                        said = True
                        say(self._held, self._limit or 0.0)
                self._running += 1
                self._held += need
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()

    def _fits(self, ticket: object, need: int) -> bool:
        if self._waiting[0] is not ticket:
            return False
        if not self._running:
            self._limit = self._ask()
            return True
        return self._limit is None or self._held + need <= self._limit
