"""From logits to the next token: penalties, temperature, nucleus, one random draw.

Plain numpy. The same seed and logits give the same tokens.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlcx.errors import MlcxError, UsageError

__all__ = ["GREEDY_BELOW", "Sampler", "Sampling", "nucleus"]

GREEDY_BELOW = 1e-5
"""A temperature below this takes the most likely token."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen and when generating ends; the defaults change no logit."""

    temperature: float = 1.0
    """Divides the logits; 0 is greedy."""
    top_p: float = 1.0
    """Probability mass of the most likely tokens to choose from, above 0, at most 1."""
    presence_penalty: float = 0.0
    """Subtracted from the logit of each token that was generated, -2 to 2."""
    frequency_penalty: float = 0.0
    """The same for each time that it was generated, -2 to 2."""
    repetition_penalty: float = 1.0
    """Divides positive and multiplies negative logits of generated tokens, above 0."""
    seed: int | None = None
    """None: unpredictable."""
    max_tokens: int | None = None
    """None: until the context is full."""
    stop_tokens: frozenset[int] = frozenset()
    """Tokens that end the text; they are no part of it."""

    def __post_init__(self) -> None:
        _within("temperature", self.temperature, self.temperature >= 0, "0 or more")
        _within("top_p", self.top_p, 0 < self.top_p <= 1, "above 0 and at most 1")
        for name in ("presence_penalty", "frequency_penalty"):
            value: float = getattr(self, name)
            _within(name, value, -2 <= value <= 2, "between -2 and 2")
        repetition = self.repetition_penalty
        _within("repetition_penalty", repetition, repetition > 0, "above 0")
        if self.max_tokens is not None:
            _within("max_tokens", self.max_tokens, self.max_tokens > 0, "1 or more")
        if self.seed is not None:
            _within("seed", self.seed, self.seed >= 0, "0 or more")


def _within(name: str, value: float, valid: bool, bounds: str) -> None:
    if not valid:
        raise UsageError(f"{name}: expected {bounds}, found {value:g}")


class Sampler:
    """Chooses the tokens of one text.

    Args:
        sampling: How.
        vocabulary: Ids from here on are never chosen.
    """

    def __init__(self, sampling: Sampling, vocabulary: int) -> None:
        self._sampling = sampling
        self._vocabulary = vocabulary
        self._random = np.random.default_rng(sampling.seed)
        self._counts: Counter[int] = Counter()

    def sample(self, logits: NDArray[np.float32]) -> int:
        """Return the next token, and count it for the penalties.

        Args:
            logits: (vocabulary or more,); left as they are.

        Raises:
            MlcxError: The best logit is not a number.
        """
        scores = self._penalized(logits[: self._vocabulary].astype(np.float64))
        best = int(scores.argmax())
        if not np.isfinite(scores[best]):
            raise MlcxError(
                f"the model computed a logit of {scores[best]}: the weights do not "
                "belong to this library, or its arithmetic overflowed"
            )
        temperature = self._sampling.temperature
        token = best if temperature < GREEDY_BELOW else self._draw(scores / temperature)
        self._counts[token] += 1
        return token

    def _penalized(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Change ``scores`` of the tokens generated so far, as MLC's engine does."""
        rule = self._sampling
        if not self._counts:
            return scores
        tokens = np.fromiter(self._counts.keys(), np.int64)
        counts = np.fromiter(self._counts.values(), np.float64)
        some = scores[tokens] - rule.presence_penalty - counts * rule.frequency_penalty
        factor = np.where(
            some < 0, rule.repetition_penalty, 1 / rule.repetition_penalty
        )
        scores[tokens] = some * factor
        return scores

    def _draw(self, scores: NDArray[np.float64]) -> int:
        weights = np.exp(scores - scores.max())
        weights /= weights.sum()
        tokens = np.arange(len(weights))
        if self._sampling.top_p < 1:
            tokens = nucleus(weights, self._sampling.top_p)
            weights = weights[tokens]
        ladder = weights.cumsum()
        step = ladder.searchsorted(self._random.random() * ladder[-1], side="right")
        return int(tokens[min(int(step), len(tokens) - 1)])


def nucleus(weights: NDArray[np.float64], top_p: float) -> NDArray[np.int64]:
    """Return the fewest most likely tokens whose mass reaches ``top_p``, best first.

    Args:
        weights: (n,), at least 0, summing to 1.
        top_p: Below 1.
    """
    # What is below the threshold weighs less than 1 - top_p taken together, so none of
    # it can be among the nucleus: sorting the few others is enough.
    few = np.flatnonzero(weights >= (1 - top_p) / len(weights))
    few = few[np.argsort(-weights[few], kind="stable")]
    before = weights[few].cumsum() - weights[few]
    kept: NDArray[np.int64] = few[before < top_p]
    return kept
