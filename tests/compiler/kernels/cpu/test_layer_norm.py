import numpy as np
import pytest
from tvm import tirx

from mlcx.compiler.kernels.cpu.layer_norm import group_norm, layer_norm

from .target_kernel import HOST, NARROW, build_for

N = tirx.Var("n", "int64")
CASES = {
    "one row": (HOST, (1, 1), (1, 1), 2560, "float16"),
    "several rows": (HOST, (1, N), (1, 7), 80, "float16"),
    "rows on all threads": (HOST, (N, 3), (30, 3), 2048, "float16"),
    "odd width": (HOST, (N,), (3,), 37, "float32"),
    "narrow vectors": (NARROW, (2, N), (2, 5), 24, "float32"),
}
EPS = 0.01


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_rows_are_normalized_one_by_one(case, rng):
    target, leading, shape, hidden, dtype = case
    run = build_for(target, layer_norm(target, leading, hidden, dtype, EPS))
    x = (2 + rng.standard_normal((*shape, hidden))).astype(dtype)
    x *= 10.0 ** -np.arange(x.size // hidden).reshape(*shape, 1).clip(max=2)
    weight, bias = rng.standard_normal((2, hidden)).astype(dtype)
    out = np.empty_like(x)
    run(x, weight, bias, out)
    wide = x.astype("float64")
    centered = wide - wide.mean(-1, keepdims=True)
    deviation = np.sqrt((centered**2).mean(-1, keepdims=True) + EPS)
    close = 2e-3 if dtype == "float16" else 2e-6
    expected = centered / deviation * weight + bias
    np.testing.assert_allclose(out, expected, rtol=close, atol=close)


def test_a_norm_may_only_scale(rng):
    row, groups = (1, 24), (1, 4, 6)
    for shape, kernel in (
        (row, layer_norm(HOST, (1,), 24, "float32", EPS, biased=False)),
        (groups, group_norm(HOST, (1,), 4, 6, "float32", EPS, biased=False)),
    ):
        x, out = (
            rng.standard_normal(shape).astype("float32"),
            np.empty(shape, "float32"),
        )
        weight = rng.standard_normal(shape[1:]).astype("float32")
        build_for(HOST, kernel)(x, weight, out)
        normal = x - x.mean(-1, keepdims=True)
        normal /= np.sqrt(x.var(-1, keepdims=True) + EPS)
        np.testing.assert_allclose(out, normal * weight, rtol=4e-6, atol=4e-6)


def test_a_mean_far_from_zero_costs_no_precision(rng):
    run = build_for(HOST, layer_norm(HOST, (1,), 64, "float32", 1e-5))
    x = (4096 + rng.integers(-8, 8, (1, 64))).astype("float32")
    out = np.empty_like(x)
    run(x, np.ones(64, "float32"), np.zeros(64, "float32"), out)
    wide = x.astype("float64")
    np.testing.assert_allclose(out, (wide - wide.mean()) / wide.std(), atol=1e-5)


@pytest.mark.parametrize(
    ("groups", "width", "dtype"), [(40, 64, "float32"), (3, 5, "float16")]
)
def test_each_group_is_normalized_and_scaled_as_its_own(groups, width, dtype, rng):
    run = build_for(HOST, group_norm(HOST, (1, N), groups, width, dtype, EPS))
    x = (2 + rng.standard_normal((1, 6, groups, width))).astype(dtype)
    weight, bias = rng.standard_normal((2, groups, width)).astype(dtype)
    out = np.empty_like(x)
    run(x, weight, bias, out)
    wide = x.astype("float64")
    normal = wide - wide.mean(-1, keepdims=True)
    normal /= np.sqrt(wide.var(-1, keepdims=True) + EPS)
    close = 4e-3 if dtype == "float16" else 2e-6
    np.testing.assert_allclose(out, normal * weight + bias, rtol=close, atol=close)
