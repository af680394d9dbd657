from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from mlcx.errors import MlcxError, UsageError
from mlcx.runtime.model import Function, Logits
from mlcx.runtime.quality.figures import NONE, Comparison
from mlcx.runtime.quality.measure import compare, logits
from mlcx.runtime.quality.reference import Origin, Reference

from ..fake import VOCABULARY, FakeModel, logits_after

WINDOWS = ((3, 1, 4, 1, 5, 9), (2, 6, 5))


def rows(window: Sequence[int]) -> Logits:
    return np.stack([logits_after(window[: n + 1]) for n in range(len(window))])


def reference(shift: float = 0.0, vocabulary: int = VOCABULARY) -> Reference:
    expected = np.concatenate([rows(window) for window in WINDOWS])[:, :vocabulary]
    expected[:, 0] += np.float32(shift)
    origin = Origin("fake", "q0f32", "cpu", "x")
    return Reference(origin, WINDOWS, expected)


def test_every_token_of_a_window_gets_its_row() -> None:
    model = FakeModel(sequences=1)
    found = np.concatenate([*logits(model, WINDOWS[0], 20)])
    np.testing.assert_array_equal(found, rows(WINDOWS[0])[:, :20])
    assert model.cache == {}


def test_a_model_agrees_with_its_own_reference() -> None:
    figures = compare(FakeModel(sequences=1), reference(), 256)
    assert (figures.mean_kl, figures.top1, figures.max_difference) == (0.0, 1.0, 0.0)
    assert (figures.tokens, figures.scored) == (9, 7)
    assert figures.cross_entropy == figures.reference_cross_entropy


def test_rows_are_held_against_those_of_the_same_token() -> None:
    figures = compare(FakeModel(sequences=1), reference(1.5, 40), 256)
    comparison = Comparison()
    for window in WINDOWS:
        shifted = rows(window)[:, :40]
        shifted[:, 0] += np.float32(1.5)
        comparison.add(shifted, rows(window)[:, :40], [*window[1:], NONE])
    expected = comparison.figures()
    assert figures.mean_kl == pytest.approx(expected.mean_kl)
    assert figures.cross_entropy == pytest.approx(expected.cross_entropy)
    assert figures.max_difference == pytest.approx(1.5, abs=1e-6)


def test_a_short_context_takes_the_first_tokens_of_each_window() -> None:
    model = FakeModel(sequences=1)
    figures = compare(model, reference(), 2)
    assert (figures.tokens, figures.mean_kl) == (4, 0.0)
    assert [call[0] for _, call in model.calls] == [[3, 1], [2, 6]]


def test_a_model_of_another_vocabulary_is_refused() -> None:
    wide = np.zeros((9, VOCABULARY + 1), np.float32)
    other = Reference(reference().origin, WINDOWS, wide)
    with pytest.raises(UsageError, match="51 logits of a token, the library 50"):
        compare(FakeModel(sequences=1), other, 256)


class Broken(FakeModel):
    """Says nothing sensible about the token 9."""

    def forward(
        self,
        function: Function,
        tokens: Mapping[int, Sequence[int]],
        positions: Sequence[int] | None = None,
    ) -> Logits:
        found = super().forward(function, tokens, positions)
        found[np.array(tokens[0]) == 9, 7] = np.nan
        return found


def test_logits_that_are_no_numbers_fail() -> None:
    with pytest.raises(MlcxError, match="no numbers, first for token 5 of a window"):
        compare(Broken(sequences=1), reference(), 256)
