from functools import cache

import numpy as np
import pytest

from mlcx.compiler.kernels.cpu.argsort import argsort_descending

from .built_kernel import build


@cache
def built(width):
    return build(argsort_descending(width))


def argsort(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    made = np.zeros_like(values), np.zeros(values.shape, "int32")
    _, ranked, indices = built(values.shape[1])(values, *made)
    return ranked, indices


@pytest.mark.parametrize("width", [1, 2, 259, 20000])
def test_sorts_each_row_down(width, rng):
    values = np.exp(4 * rng.standard_normal((3, width))).astype("float32")
    ranked, indices = argsort(values)
    assert (indices == np.argsort(-values, axis=1, kind="stable")).all()
    assert (ranked == -np.sort(-values, axis=1)).all()


def test_equal_values_keep_their_order(rng):
    values = rng.integers(0, 5, (2, 3000)).astype("float32") / 7
    _, indices = argsort(values)
    assert (indices == np.argsort(-values, axis=1, kind="stable")).all()


def test_orders_every_kind_of_float():
    tiny = np.finfo("float32").smallest_subnormal
    falling = [np.inf, 3e38, 1, 1e-38, tiny, 0, -tiny, -1, -3e38, -np.inf]
    shuffled = np.array([falling[i] for i in (7, 3, 0, 9, 5, 1, 8, 2, 6, 4)], "float32")
    ranked, _ = argsort(shuffled[None])
    assert ranked[0].tolist() == np.array(falling, "float32").tolist()


def test_both_zeros_are_equal_and_nan_of_either_sign_is_last():
    values = np.array([[np.nan, -0.0, 0.0, -np.nan, -1.0, -0.0]], "float32")
    ranked, indices = argsort(values)
    assert indices[0].tolist() == [1, 2, 5, 4, 0, 3]
    assert np.signbit(ranked[0, :3]).tolist() == [True, False, True]
    assert np.isnan(ranked[0, 4:]).all()
