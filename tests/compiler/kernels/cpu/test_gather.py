import numpy as np
import pytest

from mlcx.compiler.kernels.cpu.gather import gather_rows, scatter_rows

from .built_kernel import build


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_gathers_rows_in_the_order_of_the_indices(dtype, rng):
    src = rng.standard_normal((5, 37)).astype(dtype)
    indices = np.array([4, 0, 4], "int32")
    dst = np.zeros((3, 37), dtype)
    assert (build(gather_rows(37, dtype))(src, indices, dst)[2] == src[indices]).all()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_scatters_rows_and_leaves_the_others(dtype, rng):
    src = rng.standard_normal((3, 37)).astype(dtype)
    before = rng.standard_normal((5, 37)).astype(dtype)
    indices = np.array([3, 0, 3], "int32")
    after = build(scatter_rows(37, dtype))(src, indices, before)[2]
    expected = before.copy()
    expected[0], expected[3] = src[1], src[2]
    assert (after == expected).all()


def test_bfloat16_is_copied_bit_by_bit(rng):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    src = rng.standard_normal((4, 8)).astype(ml_dtypes.bfloat16)
    indices = np.array([2], "int32")
    dst = np.zeros((1, 8), ml_dtypes.bfloat16)
    assert (build(gather_rows(8, "bfloat16"))(src, indices, dst)[2] == src[2]).all()
