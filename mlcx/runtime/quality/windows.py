"""Which tokens models are compared on: the same ones each time.

They are cut into windows that each begin anew, so that a model with a short context,
and little memory, will do.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol

from mlcx.errors import UsageError

__all__ = ["LENGTH", "TextCoder", "Windows", "cut", "draw", "encode"]

LENGTH = 256
"""Tokens of a window, at most."""

_SEED = 20240229
_SHORTEST = 2
"""Tokens: a first one, and one to predict."""

Windows = tuple[tuple[int, ...], ...]


class TextCoder(Protocol):
    """The tokenizer of a model."""

    def encode(self, text: str, special: bool = False) -> list[int]:
        """Return the ids of ``text``, with what belongs around it if ``special``."""


def encode(coder: TextCoder, text: str, count: int, length: int) -> Windows:
    """Return the first ``count`` tokens of ``text``, or all if there are fewer.

    Args:
        coder: Of the model.
        text: Any text.
        count: Of tokens, those included that the tokenizer puts before a text, as it
            does here before each window.
        length: Of a window, at most.

    Raises:
        UsageError: ``text`` has no two tokens.
    """
    plain = coder.encode(text)
    whole = coder.encode(text, special=True)
    starts = range(len(whole) - len(plain) + 1)
    first = next((n for n in starts if whole[n : n + len(plain)] == plain), 0)
    return cut(plain, count, length, whole[:first])


def draw(vocabulary: int, count: int, length: int) -> Windows:
    """Return ``count`` tokens drawn from all below ``vocabulary``, always the same."""
    generator = random.Random(_SEED)  # noqa: S311 (no secret)
    ids = [int(generator.random() * vocabulary) for _ in range(count)]
    return cut(ids, count, length, ())


def cut(ids: Sequence[int], count: int, length: int, prefix: Sequence[int]) -> Windows:
    """Cut ``ids`` into windows of ``length`` that begin with ``prefix``.

    Returns:
        At most ``count`` tokens in all. A last window too short to predict anything in
        is left out.

    Raises:
        UsageError: Not even one window can be made.
    """
    step = length - len(prefix)
    if step < 1 or count < _SHORTEST:
        raise UsageError(
            f"{count} tokens in windows of {length}: expected at least {_SHORTEST}, "
            f"and more than the {len(prefix)} that begin each text"
        )
    windows = []
    left = count
    for start in range(0, len(ids), step):
        window = (*prefix, *ids[start : start + step])[:left]
        if len(window) >= max(_SHORTEST, len(prefix) + 1):
            windows.append(window)
        left -= len(window)
    if not windows:
        raise UsageError(
            f"the text has {len(ids)} tokens: expected {_SHORTEST} or more"
        )
    return tuple(windows)
