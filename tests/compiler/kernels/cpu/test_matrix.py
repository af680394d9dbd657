import numpy as np
import pytest

from mlcx.compiler.kernels.cpu.matrix import matrix_product

from .target_kernel import HOST, NARROW, build_for

CASES = {
    "a row": (HOST, 1, 1, 256, 160, "float16"),
    "rows that fill no block": (HOST, 1, 7, 64, 48, "float32"),
    "parts": (HOST, 5, 9, 32, 256, "float16"),
    "odd sizes": (HOST, 2, 5, 3, 7, "float32"),
    "narrow vectors": (NARROW, 1, 6, 40, 24, "float32"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_part_is_the_product_of_its_own(case, rng):
    target, parts, rows, k, n, dtype = case
    run = build_for(target, matrix_product(target, parts, k, n, dtype))
    x = rng.standard_normal((parts, rows, k)).astype(dtype)
    weight = (rng.standard_normal((parts, k, n)) / k**0.5).astype(dtype)
    out = np.empty((parts, rows, n), dtype)
    run(x, weight, out)
    expected = x.astype("float64") @ weight.astype("float64")
    close = 2e-3 if dtype == "float16" else 1e-5
    np.testing.assert_allclose(out, expected, rtol=close, atol=close)


def test_half_precision_sums_do_not_round_on_the_way(rng):
    run = build_for(HOST, matrix_product(HOST, 1, 4096, 16, "float16"))
    out = np.empty((1, 1, 16), "float16")
    run(np.ones((1, 1, 4096), "float16"), np.ones((1, 4096, 16), "float16"), out)
    np.testing.assert_array_equal(out, 4096)
