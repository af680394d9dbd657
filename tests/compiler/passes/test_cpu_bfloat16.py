"""Casts from and to bfloat16, against ml_dtypes."""

from collections.abc import Callable

import ml_dtypes
import numpy as np
import pytest
import tvm
from tvm import tirx
from tvm.script import tirx as T

from mlcx.compiler.kernels.cpu.vectors import bind, cast, load, store
from mlcx.compiler.kernels.script import array, define
from mlcx.compiler.passes.cpu_bfloat16 import LowerBfloat16

LANES = 16
EVERY = np.arange(1 << 16, dtype=np.uint16).view(ml_dtypes.bfloat16)


def vectors(x: tirx.Buffer, out: tirx.Buffer, dtype: str) -> None:
    with T.serial(x.shape[0] // LANES) as i:
        wide = bind(cast(load(x, i * LANES, lanes=LANES), "float32", LANES))
        store(out, cast(wide, dtype, LANES), i * LANES, lanes=LANES)


def vectorized_loop(x: tirx.Buffer, out: tirx.Buffer, dtype: str) -> None:
    with T.serial(x.shape[0] // LANES) as i, T.vectorized(LANES) as j:
        wide = x[i * LANES + j].astype("float32")
        T.buffer_store(out, wide.astype(dtype), [i * LANES + j])


def scalars(x: tirx.Buffer, out: tirx.Buffer, dtype: str) -> None:
    with T.serial(x.shape[0]) as i:
        wide = bind(x[i].astype("float32"))
        T.buffer_store(out, wide.astype(dtype), [i])


every_way = pytest.mark.parametrize("emit", [vectors, vectorized_loop, scalars])


def converted(
    values: np.ndarray,
    dtype: str,
    emit: Callable[[tirx.Buffer, tirx.Buffer, str], None],
) -> np.ndarray:
    """Cast ``values`` in a kernel that ``emit`` writes."""

    def both() -> None:
        x = array("x", values.shape, str(values.dtype))
        emit(x, array("out", values.shape, dtype), dtype)

    kernel = define("f", both).with_attr("global_symbol", "f")
    function = tvm.compile(LowerBfloat16()(tvm.IRModule({"f": kernel})), "llvm")["f"]
    out = tvm.runtime.tensor(np.zeros(values.shape, np.dtype(dtype)))
    function(tvm.runtime.tensor(values), out)
    result: np.ndarray = out.numpy()
    return result


@every_way
def test_every_bfloat16_is_widened_to_itself(emit) -> None:
    found = converted(EVERY, "float32", emit).view(np.uint32)
    assert (found == EVERY.view(np.uint16).astype(np.uint32) << 16).all()


@every_way
def test_float32_is_rounded_to_the_nearest_even(emit) -> None:
    """Right of, at and left of the middle between any two neighbours, and there."""
    upper = EVERY.view(np.uint16).astype(np.uint32) << 16
    values = np.concatenate([upper + low for low in (0, 0x7FFF, 0x8000, 0x8001)])
    floats = values.view(np.float32)
    floats = floats[~np.isnan(floats)]
    with np.errstate(all="ignore"):
        expected = floats.astype(ml_dtypes.bfloat16)
    found = converted(floats[: floats.size // LANES * LANES], "bfloat16", emit)
    assert (found.view(np.uint16) == expected[: found.size].view(np.uint16)).all()


@every_way
def test_nan_stays_nan(emit) -> None:
    values = np.full(LANES, np.nan, np.float32)
    values[::2] *= -1
    assert np.isnan(converted(values, "bfloat16", emit).astype(np.float32)).all()
