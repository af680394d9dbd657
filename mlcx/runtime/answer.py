"""The text of an answer as it comes, ended by a stop string if one appears."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mlcx.runtime.tokenizer import Detokenizer

__all__ = ["StopStrings", "text_of"]


class StopStrings:
    """Passes text on until one of ``stops`` is complete; no part of that is passed on.

    Of several the one that is complete first counts, however the text comes in parts.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(filter(None, stops))
        self._held = ""
        self.found = False

    def push(self, text: str) -> str:
        """Take more text and return what can no more be the beginning of a stop."""
        self._held += text
        starts = ((self._held.find(stop), stop) for stop in self._stops)
        hits = [(start + len(stop), start) for start, stop in starts if start >= 0]
        if hits:
            self.found = True
            return self._release(min(hits)[1])
        return self._release(len(self._held) - self._open())

    def finish(self) -> str:
        """Return the text that was held."""
        return "" if self.found else self._release(len(self._held))

    def _open(self) -> int:
        """Return the length of the longest end of the text that begins a stop."""
        return max(
            (
                size
                for stop in self._stops
                for size in range(1, min(len(stop), len(self._held) + 1))
                if self._held.endswith(stop[:size])
            ),
            default=0,
        )

    def _release(self, size: int) -> str:
        text, self._held = self._held[:size], self._held[size:]
        return text


def text_of(
    tokens: Iterable[int], detokenizer: Detokenizer, stops: StopStrings
) -> Iterator[str]:
    """Yield the text of ``tokens`` in parts that are not empty, up to a stop string.

    No more tokens are taken once it has appeared; ``stops.found`` tells.
    """
    for token in tokens:
        if part := stops.push(detokenizer.push(token)):
            yield part
        if stops.found:
            return
    if part := stops.push(detokenizer.finish()) + stops.finish():
        yield part
