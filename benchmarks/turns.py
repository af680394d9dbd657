"""What both sides of ``decode.py`` do in their turns, and how it is timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

__all__ = ["seconds", "timed_turn"]

PREFILLS, DECODES = 3, 2


def seconds(action: Callable[[], object]) -> float:
    """Return how long ``action`` took."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def timed_turn(
    reset: Callable[[], object],
    feed: Callable[[Sequence[int]], object],
    prompt: int,
    tokens: int,
) -> dict[str, object]:
    """Prefill a prompt and decode after it, several times each.

    Args:
        reset: Empties the context.
        feed: Appends tokens and computes the logits of the last.
        prompt: Tokens to prefill.
        tokens: Tokens to decode.

    Returns:
        ``prefill``: seconds, the least of all times; ``decode``: for each token, the
        least of all times. The first time of all is not counted.
    """
    ids = list(range(100, 100 + prompt))
    prefills, decodes = [], []
    for turn in range(1 + PREFILLS):
        reset()
        prefills.append(seconds(lambda: feed(ids)))
        if turn < DECODES:
            decodes.append([seconds(lambda: feed([7])) for _ in range(tokens)])
    least = [min(times) for times in zip(*decodes, strict=True)]
    return {"prefill": min(prefills[1:]), "decode": least}
