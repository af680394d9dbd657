"""Feeds windows to a model, and holds its logits against a reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mlcx.errors import MlcxError, UsageError
from mlcx.runtime.model import Logits, Model
from mlcx.runtime.quality.figures import NONE, Comparison, Figures
from mlcx.runtime.quality.reference import Reference

__all__ = ["compare", "logits"]

_ROWS = 64
"""Tokens of one call: their logits are in memory at a time."""

_SEQUENCE = 0


def logits(model: Model, window: Sequence[int], vocabulary: int) -> Iterator[Logits]:
    """Yield the logits of a window's tokens, in blocks of (rows, ``vocabulary``).

    Args:
        model: Has room for the window.
        window: Ids, at least one.
        vocabulary: How many of each row's logits to return, the first ones.

    Raises:
        MlcxError: The model returns what is no number.
    """
    step = min(_ROWS, model.metadata.prefill_chunk_size)
    model.add(_SEQUENCE)
    for start in range(0, len(window), step):
        part = window[start : start + step]
        rows = model.forward("batch_verify", {_SEQUENCE: part})[:, :vocabulary]
        _require_finite(rows, start)
        yield rows
    model.remove(_SEQUENCE)


def _require_finite(rows: Logits, start: int) -> None:
    wrong = np.flatnonzero(~np.isfinite(rows).all(-1))
    if len(wrong):
        message = f"logits that are no numbers, first for token {start + wrong[0]}"
        raise MlcxError(f"the model returns {message} of a window")


def compare(model: Model, reference: Reference, length: int) -> Figures:
    """Hold ``model`` against ``reference``, on the first tokens of each window.

    Args:
        model: Has room for ``length`` tokens.
        reference: Of the same vocabulary.
        length: Most tokens of a window to use, 2 or more.

    Raises:
        UsageError: The vocabulary is another one.
        MlcxError: The model returns what is no number.
    """
    comparison, vocabulary = Comparison(), reference.logits.shape[1]
    start = 0
    for window in reference.windows:
        used = window[:length]
        expected = reference.logits[start : start + len(used)]
        after = np.array([*used[1:], NONE], np.int64)
        _compare_window(comparison, expected, logits(model, used, vocabulary), after)
        start += len(window)
    return comparison.figures()


def _compare_window(
    comparison: Comparison,
    expected: NDArray[np.float32],
    blocks: Iterator[Logits],
    after: NDArray[np.int64],
) -> None:
    start = 0
    for block in blocks:
        rows = slice(start, start + len(block))
        if block.shape[1] != expected.shape[1]:
            raise UsageError(
                f"the reference has {expected.shape[1]} logits of a token, the library "
                f"{block.shape[1]}: they are of different models"
            )
        comparison.add(expected[rows], block, after[rows])
        start += len(block)
