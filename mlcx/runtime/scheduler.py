"""Which requests run, and what each step feeds to the model.

A request waits for a slot, then its prompt is fed in chunks, then its own tokens one by
one. Chunks are filled in the order of arrival, across requests.
"""

from __future__ import annotations

from collections import deque

from mlcx.runtime.request import Request

__all__ = ["Scheduler"]


class Scheduler:
    """Shares ``slots`` places in the cache among any number of requests.

    Args:
        slots: Requests that run at the same time.
        chunk: Most prompt tokens of one step, over all requests.
    """

    def __init__(self, slots: int, chunk: int) -> None:
        self._slots = slots
        self._chunk = chunk
        self._waiting: deque[Request] = deque()
        self._running: list[Request] = []

    @property
    def idle(self) -> bool:
        """Whether no request is left."""
        return not self._waiting and not self._running

    def submit(self, request: Request) -> None:
        """Queue a request behind all others."""
        self._waiting.append(request)

    def admit(self) -> list[Request]:
        """Give free slots to waiting requests and return these."""
        free = self._slots - len(self._running)
        admitted = [
            self._waiting.popleft() for _ in range(min(free, len(self._waiting)))
        ]
        self._running += admitted
        return admitted

    def release(self, request: Request) -> bool:
        """Forget a request; return whether it held a slot."""
        if request in self._running:
            self._running.remove(request)
            return True
        if request in self._waiting:
            self._waiting.remove(request)
        return False

    def prefill(self) -> dict[Request, list[int]]:
        """Return the prompt tokens of the next chunk by request; empty when none."""
        room = self._chunk
        chunk: dict[Request, list[int]] = {}
        for request in self._running:
            if request.in_prefill and room:
                chunk[request] = request.pending(room)
                room -= len(chunk[request])
        return chunk

    def decode(self) -> dict[Request, list[int]]:
        """Return the last token of each request whose prompt is through."""
        ready = (request for request in self._running if not request.in_prefill)
        return {request: request.pending(1) for request in ready}
