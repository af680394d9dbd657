import numpy as np
import pytest

from mlcx.compiler.kernels.cpu.rope import join_rotary, split_rotary
from mlcx.compiler.kernels.rotation import Rotation, frequencies

from ...attention_reference import rotated
from .target_kernel import HOST, NARROW, build_for

CASES = {
    "whole heads": (HOST, 8, 2, 64, 64, "float16"),
    "a part of them": (HOST, 2, 2, 80, 32, "float32"),
    "narrow vectors": (NARROW, 3, 1, 20, 12, "float32"),
    "an odd half": (HOST, 3, 1, 10, 10, "float32"),
}


@pytest.mark.parametrize(("interleaved", "amplitude"), [(False, 1.25), (True, 1.0)])
@pytest.mark.parametrize("tokens", [1, 5, 40])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_queries_and_keys_turn_and_values_pass(
    case, tokens, interleaved, amplitude, rng
):
    target, q, kv, d, rotary, dtype = case
    turn = frequencies(1e4, rotary, None)
    rotation = Rotation(turn, interleaved, amplitude)
    run = build_for(target, split_rotary(target, q, kv, d, rotation, dtype))
    qkv = rng.standard_normal((tokens, q + 2 * kv, d)).astype(dtype)
    positions = rng.integers(0, 3000, tokens).astype("int32")
    parts = [np.empty((tokens, heads, d), dtype) for heads in (q, kv, kv)]
    run(qkv, positions, *parts, 1)
    turning = {"interleaved": interleaved, "amplitude": amplitude}
    expected = rotated(qkv[:, : q + kv], positions, np.array(turn), **turning)
    close = 2e-3 if dtype == "float16" else 5e-4  # of angles, at positions this high
    got = np.concatenate(parts[:2], axis=1)
    np.testing.assert_allclose(got, expected, rtol=close, atol=close)
    assert (parts[2] == qkv[:, q + kv :]).all()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_heads_are_joined_as_they_are_split(case, rng):
    target, q, kv, d, rotary, dtype = case
    turn = frequencies(1e4, rotary, None)
    run = build_for(target, join_rotary(target, q, kv, d, Rotation(turn), dtype))
    for tokens in (1, 40):
        parts = [rng.standard_normal((tokens, n, d)).astype(dtype) for n in (q, kv, kv)]
        positions = rng.integers(0, 300, tokens).astype("int32")
        qkv = np.empty((tokens, q + 2 * kv, d), dtype)
        run(*parts, positions, qkv)
        expected = rotated(np.concatenate(parts[:2], 1), positions, np.array(turn))
        close = 2e-3 if dtype == "float16" else 5e-5
        np.testing.assert_allclose(qkv[:, : q + kv], expected, rtol=close, atol=close)
        assert (qkv[:, q + kv :] == parts[2]).all()


@pytest.mark.parametrize("rotary", [0, 8])
def test_without_rotation_heads_are_only_split(rotary, rng):
    rotation = Rotation(frequencies(1e4, rotary, None))
    run = build_for(HOST, split_rotary(HOST, 4, 2, 16, rotation, "float16"))
    qkv = rng.standard_normal((3, 8, 16)).astype("float16")
    parts = [np.empty((3, heads, 16), "float16") for heads in (4, 2, 2)]
    run(qkv, np.array([5, 6, 7], "int32"), *parts, 0)
    assert (np.concatenate(parts, axis=1) == qkv).all()
