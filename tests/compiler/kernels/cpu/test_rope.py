import math

import numpy as np
import pytest

from mlcx.compiler.kernels.cpu.rope import (
    Rotation,
    frequencies,
    join_rotary,
    split_rotary,
)
from mlcx.errors import BuildError

from ...attention_reference import rotated
from .target_kernel import HOST, NARROW, build_for

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def hugging_face_llama3(theta: float, dim: int, scaling: dict) -> np.ndarray:
    """Follow ``_compute_llama3_parameters`` of transformers, in float64."""
    inv_freq = 1.0 / theta ** (np.arange(0, dim, 2) / dim)
    old = scaling["original_max_position_embeddings"]
    low = old / scaling["low_freq_factor"]
    high = old / scaling["high_freq_factor"]
    wavelen = 2 * math.pi / inv_freq
    slowed = np.where(wavelen > low, inv_freq / scaling["factor"], inv_freq)
    smooth = (old / wavelen - scaling["low_freq_factor"]) / (
        scaling["high_freq_factor"] - scaling["low_freq_factor"]
    )
    blended = (1 - smooth) * slowed / scaling["factor"] + smooth * slowed
    medium = ~(wavelen < high) & ~(wavelen > low)
    return np.where(medium, blended, slowed)


def test_plain_frequencies_fall_from_one():
    expected = [1, 1 / 10, 1 / 100, 1 / 1000]
    assert frequencies(1e4, 8, None) == pytest.approx(expected)
    assert frequencies(1e4, 8, {"rope_type": "default"}) == pytest.approx(expected)


def test_linear_scaling_stretches_positions():
    stretched = frequencies(1e4, 4, {"type": "linear", "factor": 4.0})
    assert stretched == pytest.approx([1 / 4, 1 / 400])


@pytest.mark.parametrize(("theta", "dim"), [(5e5, 128), (5e5, 64), (1e4, 80)])
def test_llama3_scaling_is_that_of_hugging_face(theta, dim):
    expected = hugging_face_llama3(theta, dim, LLAMA3)
    assert frequencies(theta, dim, LLAMA3) == pytest.approx(expected, rel=1e-12)
    assert frequencies(theta, dim, None) != pytest.approx(expected, rel=1e-3)


def test_longrope_divides_each_frequency_by_its_factor():
    scaling = {"rope_type": "longrope", "factors": [1.0, 2.5]}
    assert frequencies(1e4, 4, scaling) == pytest.approx([1, 1 / 250])


def test_an_unknown_scaling_is_named():
    with pytest.raises(BuildError, match="'yarn': expected default, linear, llama3 or"):
        frequencies(1e4, 8, {"rope_type": "yarn", "factor": 2})


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
