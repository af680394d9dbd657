import numpy as np
import pytest

from mlcx.compiler.kernels.cpu.moe_combine import combination

from .target_kernel import HOST, build_for


@pytest.mark.parametrize(
    ("tokens", "chosen", "width", "dtype", "tolerance"),
    [
        (1, 2, 60, "float32", 1e-6),
        (70, 3, 1024, "float16", 1e-3),
        (2, 1, 7, "bfloat16", 8e-3),
    ],
)
def test_a_token_is_the_weighted_sum_of_its_parts(
    tokens: int,
    chosen: int,
    width: int,
    dtype: str,
    tolerance: float,
    rng: np.random.Generator,
) -> None:
    weights = rng.random((tokens, chosen)).astype(np.float32)
    parts = rng.standard_normal((tokens * chosen, width)).astype(np.float32)
    out = np.full((tokens, width), np.nan, dtype)
    build_for(HOST, combination(HOST, chosen, width, dtype))(weights, parts, out)
    each = parts.reshape(tokens, chosen, width).astype("float64")
    expected = (weights[..., None] * each).sum(1)
    error = np.abs(out.astype("float64") - expected).max() / abs(expected).max()
    assert error < tolerance
