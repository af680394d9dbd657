import numpy as np
import pytest
from tvm import tirx

from mlcx.compiler.kernels.cpu.gated import gated

from .activation_reference import REFERENCE
from .target_kernel import HOST, NARROW, build_for

N = tirx.Var("n", "int64")


@pytest.mark.parametrize(
    ("target", "function", "leading", "shape", "width", "dtype", "close"),
    [
        (HOST, "silu", (1, 1), (1, 1), 5632, "float16", 1e-3),
        (HOST, "silu", (1, N), (1, 20), 5632, "float16", 1e-3),
        (HOST, "silu", (N,), (3,), 37, "float32", 2e-6),
        (NARROW, "silu", (2, N), (2, 5), 24, "float32", 2e-6),
        (HOST, "gelu_tanh", (1, N), (1, 20), 1040, "float16", 1e-3),
        (HOST, "gelu", (N,), (3,), 37, "float32", 2e-6),
    ],
)
def test_gates_open_smoothly(
    target, function, leading, shape, width, dtype, close, rng
):
    run = build_for(target, gated(target, function, leading, width, dtype))
    gate_up = (2 * rng.standard_normal((*shape, 2 * width))).astype(dtype)
    out = np.empty((*shape, width), dtype)
    run(gate_up, out)
    gate, up = np.split(gate_up.astype("float64"), 2, axis=-1)
    expected = REFERENCE[function](gate) * up
    np.testing.assert_allclose(out, expected, rtol=close, atol=1e-6)


def test_far_gates_are_shut_or_wide_open():
    run = build_for(HOST, gated(HOST, "silu", (1,), 4, "float32"))
    gate_up = np.array([[-1e4, -200, 200, 1e4, 2, 2, 2, 2]], "float32")
    out = np.empty((1, 4), "float32")
    run(gate_up, out)
    assert out.tolist() == [[0, 0, 400, 2e4]]
