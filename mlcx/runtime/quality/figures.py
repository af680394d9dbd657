"""The figures that tell two models' logits for the same tokens apart.

Plain numpy: everything is computed in float64, a few rows at a time, so that a large
vocabulary costs little memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["NONE", "Comparison", "Figures", "log_softmax"]

NONE = -1
"""Stands for the token after a row when no token follows."""

_ELEMENTS = 1 << 20
"""Logits compared at a time: 8 MiB for each of the arrays in float64."""

_Float64 = NDArray[np.float64]
_Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Figures:
    """What a comparison found; divergence and entropy in nats."""

    tokens: int
    """Rows of logits compared, each a prediction of the token after it."""
    mean_kl: float
    """Mean over the tokens of KL(reference || model): 0 for equal predictions."""
    max_kl: float
    """The largest of one token."""
    top1: float
    """Share of tokens, 0 to 1, after which both find the same token most likely."""
    max_difference: float
    """Largest absolute difference of two logits."""
    scored: int
    """Rows after which a token follows, so that the prediction can be scored."""
    cross_entropy: float
    """Mean of -log p of the token that follows."""
    reference_cross_entropy: float
    """The same of the reference."""

    @property
    def perplexity(self) -> float:
        """exp(cross_entropy): how many tokens the model wavers between."""
        return _exp(self.cross_entropy)

    @property
    def reference_perplexity(self) -> float:
        """The same of the reference."""
        return _exp(self.reference_cross_entropy)

    @property
    def growth(self) -> float:
        """How much larger the perplexity is than the reference's: 0 for as large."""
        return _exp(self.cross_entropy - self.reference_cross_entropy) - 1


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def log_softmax(logits: ArrayLike) -> _Float64:
    """Return x - log(sum(exp(x))) along the last axis, in float64."""
    wide = np.asarray(logits, np.float64)
    shifted = wide - wide.max(-1, keepdims=True)
    result: _Float64 = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return result


class Comparison:
    """Gathers figures, block by block."""

    def __init__(self) -> None:
        self._divergences: list[_Float64] = []
        self._agreeing = 0
        self._difference = 0.0
        self._surprises: list[_Float64] = []
        self._reference_surprises: list[_Float64] = []

    def add(self, reference: ArrayLike, found: ArrayLike, following: ArrayLike) -> None:
        """Compare two blocks of finite logits.

        Args:
            reference: (rows, vocabulary) of the reference.
            found: (rows, vocabulary) of the model.
            following: (rows,) ids of the tokens after the rows, or NONE.
        """
        left, right = np.asarray(reference), np.asarray(found)
        after = np.asarray(following, np.int64)
        assert left.shape == right.shape == (len(after), left.shape[1])
        step = max(1, _ELEMENTS // left.shape[1])
        for start in range(0, len(after), step):
            rows = slice(start, start + step)
            self._add(left[rows], right[rows], after[rows])

    def _add(
        self, reference: NDArray[np.generic], found: NDArray[np.generic], after: _Ids
    ) -> None:
        wide, other = reference.astype(np.float64), found.astype(np.float64)
        self._difference = max(self._difference, float(np.abs(wide - other).max()))
        self._agreeing += int((wide.argmax(-1) == other.argmax(-1)).sum())
        log_p, log_q = log_softmax(wide), log_softmax(other)
        divergence = (np.exp(log_p) * (log_p - log_q)).sum(-1)
        # Rounding can leave equal predictions a little below 0.
        self._divergences.append(np.maximum(divergence, 0.0))
        scored = np.flatnonzero(after != NONE)
        tokens = after[scored]
        self._reference_surprises.append(-log_p[scored, tokens])
        self._surprises.append(-log_q[scored, tokens])

    def figures(self) -> Figures:
        """Return what was found of one row or more, one of them with a token after."""
        divergences = np.concatenate(self._divergences)
        surprises = np.concatenate(self._surprises)
        return Figures(
            tokens=len(divergences),
            mean_kl=float(divergences.mean()),
            max_kl=float(divergences.max()),
            top1=self._agreeing / len(divergences),
            max_difference=self._difference,
            scored=len(surprises),
            cross_entropy=float(surprises.mean()),
            reference_cross_entropy=float(
                np.concatenate(self._reference_surprises).mean()
            ),
        )
