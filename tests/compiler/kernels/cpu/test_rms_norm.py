import numpy as np
import pytest
from tvm import tirx

from mlcx.compiler.kernels.cpu.rms_norm import add_rms_norm, rms_norm

from .target_kernel import HOST, NARROW, build_for

N = tirx.Var("n", "int64")
CASES = {
    "one row": (HOST, (1, 1), (1, 1), 2048, "float16"),
    "several rows": (HOST, (1, N), (1, 7), 80, "float16"),
    "rows on all threads": (HOST, (N, 3), (30, 3), 2048, "float16"),
    "odd width": (HOST, (N,), (3,), 37, "float32"),
    "narrow vectors": (NARROW, (2, N), (2, 5), 24, "float32"),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
EPS = 0.01


def normalized(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    x = x.astype("float64")
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPS) * weight


def close(dtype: str) -> dict[str, float]:
    return {"rtol": 1e-3, "atol": 1e-6} if dtype == "float16" else {"rtol": 1e-6}


@cases
def test_rows_are_normalized_one_by_one(case, rng):
    target, leading, shape, hidden, dtype = case
    run = build_for(target, rms_norm(target, leading, hidden, dtype, EPS))
    x = rng.standard_normal((*shape, hidden)).astype(dtype)
    x *= 10.0 ** -np.arange(x.size // hidden).reshape(*shape, 1).clip(max=2)
    weight = rng.standard_normal(hidden).astype(dtype)
    out = np.empty_like(x)
    run(x, weight, out)
    np.testing.assert_allclose(out, normalized(x, weight), **close(dtype))


@cases
def test_a_sum_comes_out_rounded_and_normalized(case, rng):
    target, leading, shape, hidden, dtype = case
    run = build_for(target, add_rms_norm(target, leading, hidden, dtype, EPS))
    a, b = rng.standard_normal((2, *shape, hidden)).astype(dtype)
    weight = rng.standard_normal(hidden).astype(dtype)
    total, out = np.empty_like(a), np.empty_like(a)
    run(a, b, weight, total, out)
    assert (total == a + b).all()
    np.testing.assert_allclose(out, normalized(a + b, weight), **close(dtype))


def test_squares_beyond_half_precision_do_not_overflow():
    run = build_for(HOST, rms_norm(HOST, (1,), 64, "float16", EPS))
    x, weight = np.full((1, 64), 6e4, "float16"), np.ones(64, "float16")
    out = np.empty_like(x)
    run(x, weight, out)
    assert (out == 1).all()
