"""A model's logits for given tokens, through the library functions of one's choice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlcx.runtime.model import Function, Logits, Model

__all__ = ["PATHS", "Path", "greedy", "trace"]

Path = Literal["prefill", "batch_prefill", "batch_verify"]

PATHS: tuple[Path, ...] = ("prefill", "batch_prefill", "batch_verify")
"""Functions that can compute the first tokens."""

_SEQUENCE = 0


def trace(model: Model, tokens: Sequence[int], prefilled: int, path: Path) -> Logits:
    """Feed ``tokens`` to an empty model and return a row of logits for each.

    ``prefill`` returns one row per call, its last token's; here, the rows before come
    from a pass through ``batch_verify`` that is then forgotten.

    Args:
        model: Has room for the tokens; keeps them as sequence 0.
        tokens: At least one.
        prefilled: How many of them ``path`` takes in chunks, 1 or more; the others pass
            through ``decode`` one by one, or through ``batch_decode`` if that is not
            ``prefill``.
        path: Computes the first tokens.
    """
    first = tokens[:prefilled]
    if path == "prefill":
        rows = [*_earlier(model, first[:-1]), _prefill(model, first)]
    else:
        model.add(_SEQUENCE)
        rows = [_rows(model, path, first)]
    rows += [_decode(model, path, token) for token in tokens[prefilled:]]
    return np.concatenate(rows)


def greedy(
    model: Model, row: NDArray[np.float32], count: int, path: Path
) -> NDArray[np.int64]:
    """Return the ``count`` most likely tokens after ``row``, each fed before the next.

    Args:
        model: As ``trace`` leaves it.
        row: (vocabulary,) logits of the last token fed.
        count: 0 or more.
        path: As for ``trace``.
    """
    tokens: list[int] = []
    while len(tokens) < count:
        tokens.append(int(row.argmax()))
        if len(tokens) < count:
            row = _decode(model, path, tokens[-1])[0]
    return np.array(tokens, np.int64)


def _decode(model: Model, path: Path, token: int) -> Logits:
    function: Function = "decode" if path == "prefill" else "batch_decode"
    return model.forward(function, {_SEQUENCE: [token]})


def _prefill(model: Model, tokens: Sequence[int]) -> Logits:
    model.add(_SEQUENCE)
    parts = _parts(tokens, model.metadata.prefill_chunk_size)
    return [model.forward("prefill", {_SEQUENCE: part}) for part in parts][-1]


def _earlier(model: Model, tokens: Sequence[int]) -> list[Logits]:
    if not tokens:
        return []
    model.add(_SEQUENCE)
    rows = _rows(model, "batch_verify", tokens)
    model.remove(_SEQUENCE)
    return [rows]


def _rows(model: Model, path: Path, tokens: Sequence[int]) -> Logits:
    """Return a row for each token, in calls of the sizes that libraries plan for."""
    limits = model.metadata
    most = limits.prefill_chunk_size
    if path == "batch_prefill":
        # A recurrent model takes positions for the ends of its sequences.
        recurrent = limits.state_kind == "rnn_state"
        most = 1 if recurrent else min(most, limits.max_batch_size)
    rows = []
    for part in _parts(tokens, most):
        every = range(len(part)) if path == "batch_prefill" else None
        rows.append(model.forward(path, {_SEQUENCE: part}, every))
    return np.concatenate(rows)


def _parts(tokens: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(tokens), most):
        yield tokens[start : start + most]
