"""Sines and cosines of positions, held to NumPy's in float64."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from tvm.script import tirx as T

from mlcx.compiler.kernels.gpu.circle import circle
from mlcx.compiler.kernels.script import array, define

COUNT = 4096


@pytest.fixture(scope="module")
def turn() -> tvm.runtime.Module:
    def emit() -> None:
        angle, cosine, sine = (array(name, (COUNT,), "float32") for name in "acs")
        with T.serial(COUNT) as i:
            values = circle(angle[i])
            for buffer, value in zip((cosine, sine), values, strict=True):
                T.buffer_store(buffer, value, [i])

    return tvm.tirx.build(define("turn", emit), target="llvm")


@pytest.mark.parametrize(
    ("largest", "error"), [(3.1415927, 2e-7), (1e4, 2e-7), (131072, 4e-6), (1e6, 5e-5)]
)
def test_angles_of_any_position_are_exact(
    turn: tvm.runtime.Module, largest: float, error: float
) -> None:
    angle = np.random.default_rng(0).uniform(0, largest, COUNT).astype(np.float32)
    angle[:2] = 0, largest
    found = [tvm.runtime.empty((COUNT,), "float32") for _ in range(2)]
    turn["turn"](tvm.runtime.tensor(angle), *found)
    for values, exact in zip(found, (np.cos, np.sin), strict=True):
        expected = exact(angle.astype(np.float64))
        np.testing.assert_allclose(values.numpy(), expected, rtol=0, atol=error)
