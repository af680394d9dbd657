import numpy as np
import pytest

from mlcx.compiler.kernels.cpu.recurrence import token_shift, wkv5, wkv6

from .target_kernel import HOST, NARROW, build_for

LENGTHS = {
    "one token": [1],
    "one sequence": [7],
    "a token each": [1, 1, 1],
    "several lengths": [3, 1, 5, 2],
}
lengths = pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
vectors = pytest.mark.parametrize("target", [HOST, NARROW], ids=["host", "narrow"])


def ends_of(lengths):
    return (np.cumsum(lengths) - 1).astype("int32")


@lengths
@pytest.mark.parametrize(("width", "dtype"), [(48, "float16"), (7, "float32")])
def test_each_row_gets_the_one_before_it_in_its_sequence(lengths, width, dtype, rng):
    run = build_for(HOST, token_shift(HOST, width, dtype))
    x = rng.standard_normal((sum(lengths), width)).astype(dtype)
    before = rng.standard_normal((len(lengths), width)).astype(dtype)
    out = np.empty_like(x)
    run(x, before, ends_of(lengths), out)
    expected = np.roll(x, 1, axis=0)
    expected[ends_of(lengths) + 1 - lengths] = before
    np.testing.assert_array_equal(out, expected)


def attention(r, k, v, kept, u, state):
    """One sequence and head, (tokens, n) each: outputs and the state after them."""
    rows = []
    for t in range(len(r)):
        new = np.outer(k[t], v[t])
        rows.append(r[t] @ (u[:, None] * new + state))
        state = kept[t][:, None] * state + new
    return np.array(rows), state


@vectors
@lengths
@pytest.mark.parametrize("kernel", [wkv5, wkv6])
@pytest.mark.parametrize(
    ("heads", "n", "dtype"), [(3, 32, "float32"), (1, 10, "float16")]
)
def test_states_go_on_token_by_token(target, lengths, heads, n, dtype, kernel, rng):
    run = build_for(target, kernel(target, heads, n, dtype))
    s, b = sum(lengths), len(lengths)
    r, k, v = rng.standard_normal((3, s, heads * n)).astype(dtype)
    if kernel is wkv5:
        w = rng.random((heads, n), "float32")
        kept = np.tile(w.reshape(-1), (s, 1))
    else:
        w = rng.standard_normal((s, heads * n)).astype("float32")
        kept = np.exp(-np.exp(w.astype("float64")))
    u = rng.standard_normal((heads, n)).astype("float32")
    before = rng.standard_normal((b, heads, n, n)).astype("float32")
    out, after = np.empty((s, heads * n), "float32"), np.empty_like(before)
    run(r, k, v, w, u, before, ends_of(lengths), out, after)
    for i, end in enumerate(ends_of(lengths) + 1):
        rows = slice(end - lengths[i], end)
        for h in range(heads):
            part = rows, slice(h * n, (h + 1) * n)
            wide = (each[part].astype("float64") for each in (r, k, v, kept))
            expected, state = attention(*wide, u[h], before[i, h])
            np.testing.assert_allclose(out[part], expected, rtol=1e-5, atol=1e-4)
            np.testing.assert_allclose(after[i, h], state, rtol=1e-5, atol=1e-5)


def test_a_decay_beyond_all_bounds_forgets_or_keeps_everything(rng):
    run = build_for(HOST, wkv6(HOST, 1, 16, "float32"))
    nothing = np.zeros((1, 16), "float32")
    w = np.where(np.arange(16) < 8, -200, 200).astype("float32")[None]
    before = rng.standard_normal((1, 1, 16, 16)).astype("float32")
    after = np.empty_like(before)
    ends = np.zeros(1, "int32")
    run(*[nothing] * 3, w, nothing, before, ends, np.empty_like(nothing), after)
    np.testing.assert_array_equal(after[0, 0, :8], before[0, 0, :8])
    np.testing.assert_array_equal(after[0, 0, 8:], 0)
