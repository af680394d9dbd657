"""Casting weights, and telling whether they are finite."""

import ml_dtypes
import numpy as np
import pytest

from mlcx.quant.plain import all_finite, cast, dtype_named

NAMES = ("float16", "bfloat16", "float32")
EVERY = np.arange(1 << 16, dtype=np.uint16)


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("source", ["float16", "bfloat16"])
def test_every_16_bit_value_is_cast_as_by_way_of_float32(
    source: str, target: str
) -> None:
    values = EVERY.view(dtype_named(source))
    with np.errstate(all="ignore"):
        expected = values.astype(np.float32).astype(dtype_named(target))
    got = cast(values, dtype_named(target))
    assert got.dtype == dtype_named(target)
    same = got.view(f"u{got.itemsize}") == expected.view(f"u{got.itemsize}")
    assert (same | np.isnan(values.astype(np.float32))).all()


def test_float32_is_rounded_to_the_nearest_even() -> None:
    step = 2.0**-10
    values = np.array([1 + step / 2, 1 + 1.5 * step, 1 + 0.51 * step, 1e6], np.float32)
    expected = [1, 1 + 2 * step, 1 + step, np.inf]
    assert cast(values, np.dtype(np.float16)).tolist() == expected


def test_the_same_dtype_costs_no_copy() -> None:
    values = np.ones(3, np.float16)
    assert cast(values, np.dtype(np.float16)) is values


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32])
def test_one_value_that_is_not_finite_is_seen(dtype: type) -> None:
    values = np.linspace(-5, 5, 1001).astype(dtype)
    assert all_finite(values)
    assert all_finite(values[:0])
    largest = np.array(ml_dtypes.finfo(dtype).max, dtype)
    for bad in (np.inf, -np.inf, np.nan, -np.nan):
        values[500] = largest
        assert all_finite(values)
        values[500] = bad
        assert not all_finite(values)
