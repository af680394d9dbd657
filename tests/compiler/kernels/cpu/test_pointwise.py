import numpy as np
import pytest
from tvm import tirx

from mlcx.compiler.kernels.cpu.pointwise import FUNCTIONS, pointwise

from .activation_reference import REFERENCE
from .target_kernel import HOST, NARROW, build_for

N = tirx.Var("n", "int64")
functions = pytest.mark.parametrize("function", FUNCTIONS)


@functions
@pytest.mark.parametrize(
    ("target", "leading", "shape", "width"),
    [(HOST, (1, N), (1, 9), 1040), (HOST, (N,), (3,), 37), (NARROW, (2,), (2,), 24)],
)
def test_each_element_is_mapped(target, function, leading, shape, width, rng):
    run = build_for(target, pointwise(target, function, leading, width, "float32"))
    x = (3 * rng.standard_normal((*shape, width))).astype("float32")
    out = np.empty_like(x)
    run(x, out)
    expected = REFERENCE[function](x.astype("float64"))
    np.testing.assert_allclose(out, expected, rtol=1e-6, atol=4e-7)


@functions
def test_half_precision_is_rounded_at_the_end(function):
    run = build_for(HOST, pointwise(HOST, function, (1,), 63488, "float16"))
    every = np.arange(1 << 16, dtype="uint16").view("float16")
    x = every[np.isfinite(every)].reshape(1, -1)
    out = np.empty_like(x)
    run(x, out)
    expected = REFERENCE[function](x.astype("float64").clip(-500, None))
    np.testing.assert_allclose(out, expected, rtol=1e-3, atol=1e-7)


@functions
def test_far_from_zero_an_element_is_kept_or_lost(function):
    run = build_for(HOST, pointwise(HOST, function, (1,), 4, "float32"))
    x = np.array([[-1e30, -200, 200, 1e30]], "float32")
    out = np.empty_like(x)
    run(x, out)
    assert (out == np.array([[0, 0, 200, 1e30]], "float32")).all()
