import numpy as np
import pytest

from mlcx.compiler.kernels.cpu.merge_state import merge_state

from ...attention_reference import attention
from .target_kernel import HOST, NARROW, build_for


@pytest.mark.parametrize("tokens", [2, 40])
@pytest.mark.parametrize(
    ("target", "d", "dtype", "close"),
    [(HOST, 64, "float16", 2e-3), (NARROW, 20, "float32", 3e-6)],
)
def test_two_halves_make_the_attention_over_all_keys(
    target, d, dtype, close, tokens, rng
):
    q = rng.standard_normal((tokens, 4, d))
    k, v = rng.standard_normal((2, 30, 4, d))
    seen = np.ones((tokens, 30), bool)
    left, right = (
        attention(q, k[part], v[part], seen[:, part], 0.2)
        for part in (slice(0, 11), slice(11, 30))
    )
    run = build_for(target, merge_state(target, 4, d, dtype))
    out, other = left[0].astype(dtype), right[0].astype(dtype)
    lse, other_lse = left[1].astype("float32"), right[1].astype("float32")
    run(out, lse, other, other_lse)
    expected, expected_lse = attention(q, k, v, seen, 0.2)
    np.testing.assert_allclose(out, expected, rtol=close, atol=close)
    np.testing.assert_allclose(lse, expected_lse, rtol=1e-5, atol=1e-5)


def test_a_side_that_saw_nothing_changes_nothing(rng):
    run = build_for(HOST, merge_state(HOST, 1, 16, "float32"))
    some = rng.standard_normal((2, 1, 16)).astype("float32")
    nothing = np.zeros_like(some)
    lse, none = np.full((2, 1), 3, "float32"), np.full((2, 1), -1e29, "float32")
    for first, second, a, b in ((some, nothing, lse, none), (nothing, some, none, lse)):
        out, sums = first.copy(), a.copy()
        run(out, sums, second, b)
        assert (out == some).all()
        assert (sums == 3).all()
