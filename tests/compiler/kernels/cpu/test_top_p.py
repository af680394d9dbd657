from functools import cache

import numpy as np
import pytest

from mlcx.compiler.kernels.cpu.top_p import renormalize_by_top_p

from .built_kernel import build


def f32(*values):
    return np.array(values, "float32")


@cache
def built(vocab, lanes):
    return build(renormalize_by_top_p(vocab, lanes))


def renormalize(probs, limit, pivots=(0.5, 0.1, 0.01), lanes=4):
    limit = np.broadcast_to(f32(limit), (len(probs),)).copy()
    pivots = np.broadcast_to(f32(*pivots), (len(probs), 3)).copy()
    run = built(probs.shape[1], lanes)
    return run(probs, limit, pivots, np.full(probs.shape, 7, "float32"))[3]


def reference(row: np.ndarray, limit: float) -> np.ndarray:
    falling = -np.sort(-row.astype("float64"))
    enough = np.cumsum(falling) >= np.float32(limit)
    least = falling[np.argmax(enough)] if enough.any() else 0.0
    kept = np.where(row >= least, row, 0).astype("float64")
    return kept / kept.sum()


@pytest.mark.parametrize("lanes", [4, 16])
@pytest.mark.parametrize("limit", [0.2, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("vocab", [5, 259, 4000])
def test_keeps_the_nucleus(vocab, limit, lanes, rng):
    probs = np.exp(2 * rng.standard_normal((3, vocab)))
    probs = (probs / probs.sum(1, keepdims=True)).astype("float32")
    kept = renormalize(probs, limit, lanes=lanes)
    expected = np.stack([reference(row, limit) for row in probs])
    np.testing.assert_allclose(kept, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "pivots", [(0, 0, 0), (1, 1, 1), (-1, 2, np.nan), (0.3, 0.2, 0.1), (0.1, 0.2, 0.3)]
)
def test_first_pivots_do_not_change_the_result(pivots):
    probs = f32([0.4, 0.3, 0.2, 0.1])
    kept = renormalize(probs, 0.65, pivots)
    np.testing.assert_allclose(kept, [[4 / 7, 3 / 7, 0, 0]], rtol=1e-6)


def test_top_p_of_one_keeps_everything():
    probs = f32([0.7, 0.3, 1e-12, 0])
    np.testing.assert_allclose(renormalize(probs, 1), probs, rtol=1e-6)


def test_the_nucleus_ends_where_top_p_is_reached():
    assert renormalize(f32([0.25, 0.5, 0.25]), 0.5).tolist() == [[0, 1, 0]]


def test_top_p_of_nothing_keeps_the_maximum():
    assert renormalize(f32([0.1, 0.6, 0.3]), 0).tolist() == [[0, 1, 0]]


def test_equal_probabilities_stay_together():
    kept = renormalize(f32([0.25, 0.25, 0.25, 0.25]), 0.3)
    assert kept.tolist() == [[0.25, 0.25, 0.25, 0.25]]


def test_a_row_that_sums_to_less_is_kept_and_brought_to_mass_one():
    kept = renormalize(f32([0.2, 0.2, 0.1]), 0.9)
    np.testing.assert_allclose(kept, [[0.4, 0.4, 0.2]], rtol=1e-6)


def test_a_row_of_zeros_stays_zero():
    assert renormalize(f32([0, 0, 0, 0, 0]), 0.9).tolist() == [[0] * 5]


def test_each_row_has_its_own_top_p():
    probs = f32([0.6, 0.4], [0.6, 0.4])
    made = np.zeros((2, 3), "float32"), probs.copy()
    out = built(2, 4)(probs, f32(0.5, 0.9), *made)[3]
    np.testing.assert_allclose(out, [[1, 0], [0.6, 0.4]], rtol=1e-6)
