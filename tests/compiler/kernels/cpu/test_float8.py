"""8-bit floats widened, and multiplied with."""

import ml_dtypes
import numpy as np
import pytest
from tvm.tirx.script import builder as T

from mlcx.compiler.kernels.cpu.float8 import UNITS, widen_float8
from mlcx.compiler.kernels.cpu.vectors import load, store
from mlcx.compiler.kernels.script import array, define

from .matmul_reference import FLOAT8, TARGETS, assert_product, every_target
from .target_kernel import build_for

LENGTHS = [(rows,) for rows in (1, 2, 3, 13)]
"""Numbers of rows that among them reach every kernel."""


@every_target
@pytest.mark.parametrize("dtype", UNITS)
def test_every_number_is_widened_exactly(target_name: str, dtype: str) -> None:
    def emit() -> None:
        bits = array("bits", (256,), "int8")
        out = array("out", (256,), "float32")
        with T.serial(32) as i:
            values = widen_float8(load(bits, i * 8, lanes=8), dtype, 8)
            store(out, values, i * 8, lanes=8)

    kernel = define("widen", emit).with_attr("global_symbol", "widen")
    every = np.arange(256, dtype=np.uint8)
    found = np.empty(256, np.float32)
    build_for(TARGETS[target_name], kernel)(every.view(np.int8), found)
    expected = every.view(getattr(ml_dtypes, dtype)).astype(np.float32)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(found[finite] * UNITS[dtype], expected[finite])


@every_target
@pytest.mark.parametrize("format_name", FLOAT8)
def test_equals_the_product_in_float64(
    target_name: str, format_name: str, rng: np.random.Generator
) -> None:
    assert_product(target_name, format_name, 133, 360, ("rows",), LENGTHS, rng)


@pytest.mark.parametrize("format_name", ["e5m2", "e4m3 odd blocks"])
def test_a_weight_may_be_less_than_a_vector(
    format_name: str, rng: np.random.Generator
) -> None:
    assert_product("host", format_name, 5, 33, ("rows",), LENGTHS, rng)
