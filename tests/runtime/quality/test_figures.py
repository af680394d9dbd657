"""Figures against numbers made by hand and closed forms."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from numpy.typing import ArrayLike

from mlcx.runtime.quality.figures import NONE, Comparison, Figures, log_softmax


def compare(
    reference: ArrayLike, found: ArrayLike, following: ArrayLike | None = None
) -> Figures:
    rows = len(np.asarray(reference))
    after = [0] * (rows - 1) + [NONE] if following is None else following
    comparison = Comparison()
    comparison.add(np.float32(reference), np.float32(found), after)
    return comparison.figures()


def test_the_divergence_of_a_quarter_and_a_half_is_known() -> None:
    """KL((1/4, 3/4) || (1/2, 1/2)) = ln 2 - H(1/4, 3/4)."""
    row, even = [0.0, math.log(3)], [5.0, 5.0]
    expected = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    figures = compare([row, row], [even, even])
    assert figures.mean_kl == pytest.approx(expected, rel=1e-6)
    assert figures.mean_kl == pytest.approx(0.130812, abs=1e-6)


def test_the_divergence_is_of_the_model_from_the_reference_and_not_the_other_way() -> (
    None
):
    row, even = [0.0, math.log(3)], [5.0, 5.0]
    back = compare([even, even], [row, row])
    expected = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert back.mean_kl == pytest.approx(expected, rel=1e-6)
    assert back.mean_kl == pytest.approx(0.143841, abs=1e-6)


def test_shifting_all_logits_of_a_token_changes_no_prediction() -> None:
    rows = np.random.default_rng(1).normal(size=(5, 33))
    figures = compare(rows, rows + 7.5)
    assert figures.mean_kl == pytest.approx(0.0, abs=1e-12)
    assert figures.top1 == 1.0
    assert figures.max_difference == pytest.approx(7.5, abs=1e-5)


def test_a_small_change_costs_half_its_variance() -> None:
    """KL(p || softmax(x + d)) = Var_p(d) / 2 to second order: 5e-9 must not drown."""
    generator = np.random.default_rng(2)
    rows = generator.normal(size=(1, 50)).astype(np.float32)
    changed = (rows + generator.normal(size=(1, 50)) * 1e-4).astype(np.float32)
    change = changed.astype(np.float64) - rows
    p = np.exp(log_softmax(rows))
    variance = (p * change**2).sum() - (p * change).sum() ** 2
    figures = compare(rows.repeat(2, 0), changed.repeat(2, 0))
    assert figures.mean_kl == pytest.approx(variance / 2, rel=1e-2)


def test_mean_and_largest_are_over_tokens() -> None:
    """Beside an equal pair, one whose divergence is ln 2 - H(1/4, 3/4)."""
    left, right = [[0.0, 0.0], [0.0, math.log(3)]], [[1.0, 1.0], [2.0, 2.0]]
    figures = compare(left, right)
    assert figures.max_kl == pytest.approx(0.130812, abs=1e-6)
    assert figures.mean_kl == pytest.approx(0.065406, abs=1e-6)


def test_agreement_is_the_share_of_equal_favourites() -> None:
    left = [[3, 1, 0], [0, 2, 1], [0, 1, 2], [9, 0, 0]]
    right = [[2, 1, 0], [1, 0, 0], [0, 0, 5], [1, 0, 2]]
    assert compare(left, right).top1 == 0.5


@pytest.mark.parametrize("vocabulary", [2, 7, 1280])
def test_who_knows_nothing_wavers_between_all_tokens(vocabulary: int) -> None:
    rows = np.zeros((3, vocabulary))
    figures = compare(rows, rows)
    assert figures.perplexity == pytest.approx(vocabulary)
    assert figures.reference_perplexity == pytest.approx(vocabulary)


def test_perplexity_is_of_the_tokens_that_follow() -> None:
    """exp(-(ln 3/4 + ln 1/4) / 2) = sqrt(16 / 3); the last row has none to follow."""
    row = [0.0, math.log(3)]
    figures = compare([row] * 3, [[0, 0]] * 3, [1, 0, NONE])
    assert (figures.tokens, figures.scored) == (3, 2)
    assert figures.reference_perplexity == pytest.approx(math.sqrt(16 / 3))
    assert figures.perplexity == pytest.approx(2.0)


def test_large_logits_do_not_overflow() -> None:
    rows = [[1e30, 0.0], [0.0, 1e30]]
    figures = compare(rows, rows, [0, NONE])
    assert (figures.mean_kl, figures.cross_entropy) == (0.0, 0.0)


def test_a_hopeless_prediction_has_no_finite_perplexity() -> None:
    rows = [[1e4, 0.0], [1e4, 0.0]]
    figures = compare(rows, rows, [1, NONE])
    assert figures.cross_entropy == 1e4
    assert figures.perplexity == math.inf


def test_blocks_give_what_one_piece_gives() -> None:
    generator = np.random.default_rng(3)
    left, right = generator.normal(size=(2, 9, 40)).astype(np.float32)
    after = np.array([*range(8), NONE])
    comparison = Comparison()
    for rows in (slice(0, 4), slice(4, 5), slice(5, 9)):
        comparison.add(left[rows], right[rows], after[rows])
    assert comparison.figures() == compare(left, right, after)


def test_a_large_vocabulary_takes_little_memory() -> None:
    """64 rows of 160,000 logits are 82 MB in float64, for each array of several."""
    rows = np.zeros((64, 160_000), np.float32)
    after = np.full(64, NONE)
    after[0] = 1
    tracemalloc.start()
    Comparison().add(rows, rows, after)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 80e6
