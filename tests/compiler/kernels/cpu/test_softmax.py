from functools import cache

import numpy as np
import pytest

from mlcx.compiler.kernels.cpu.softmax import softmax_with_temperature

from .built_kernel import build

SEVERAL_CHUNKS = 9001  # two full ones, and a rest that is no whole vector


def reference(logits: np.ndarray, temperature: np.ndarray, active: int) -> np.ndarray:
    probs = np.zeros(logits.shape)
    rows = zip(logits[:, 0, :active], temperature, strict=True)
    for row, (values, heat) in enumerate(rows):
        gap = values.astype("float64") - values.max()
        weight = np.exp(gap / heat) if heat > 1e-5 else (gap == 0).astype("float64")
        probs[row, 0, :active] = weight / weight.sum()
    return probs


@cache
def built(vocab, active, lanes):
    return build(softmax_with_temperature(vocab, active, lanes))


def softmax(logits, temperature, active=None, lanes=16):
    vocab = logits.shape[-1]
    unwritten = np.full(logits.shape, 7, "float32")
    run = built(vocab, active or vocab, lanes)
    return run(logits, np.asarray(temperature, "float32"), unwritten)[2]


@pytest.mark.parametrize("lanes", [4, 16])
@pytest.mark.parametrize("vocab", [3, 16, 259, 4096, SEVERAL_CHUNKS])
def test_equals_the_softmax_in_float64(vocab, lanes, rng):
    logits = (8 * rng.standard_normal((3, 1, vocab))).astype("float32")
    temperature = np.array([0.3, 1.0, 2.5], "float32")
    probs = softmax(logits, temperature, lanes=lanes)
    expected = reference(logits, temperature, vocab)
    np.testing.assert_allclose(probs, expected, rtol=3e-5, atol=1e-30)
    np.testing.assert_allclose(probs.sum(-1), 1, rtol=1e-5)


@pytest.mark.parametrize("temperature", [0.0, 1e-5, -1.0])
def test_without_heat_the_largest_logits_share_everything(temperature, rng):
    logits = rng.standard_normal((1, 1, SEVERAL_CHUNKS)).astype("float32")
    ties = [17, 5000, SEVERAL_CHUNKS - 1]
    logits[0, 0, ties] = np.float32(8)
    logits[0, 0, 18] = np.nextafter(np.float32(8), np.float32(0))
    probs = softmax(logits, [temperature])
    assert probs[0, 0, ties] == pytest.approx(1 / 3)
    assert np.count_nonzero(probs) == 3


def test_just_above_no_heat_is_a_softmax_still():
    logits = np.array([[[1.0, 1.0 - 2e-5, 0.0]]], "float32")
    probs = softmax(logits, [2e-5])
    np.testing.assert_allclose(probs, reference(logits, [2e-5], 3), atol=2e-3)


@pytest.mark.parametrize("active", [1, 33, 4096, 4100])
@pytest.mark.parametrize("heat", [0.0, 0.8])
def test_inactive_tokens_get_nothing_however_large(active, heat, rng):
    logits = rng.standard_normal((2, 1, 4999)).astype("float32")
    logits[:, :, active:] += 100
    probs = softmax(logits, [heat, heat], active)
    assert not probs[:, :, active:].any()
    expected = reference(logits, [heat, heat], active)
    np.testing.assert_allclose(probs, expected, rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("masked", [-np.inf, np.finfo("float32").min])
@pytest.mark.parametrize("heat", [0.0, 0.5])
def test_masked_logits_get_nothing_even_whole_chunks_of_them(masked, heat):
    logits = np.full((1, 1, SEVERAL_CHUNKS), masked, "float32")
    logits[0, 0, [5000, 5001]] = [-30.0, -30.0]
    probs = softmax(logits, [heat])
    assert probs[0, 0, 5000] == probs[0, 0, 5001] == 0.5
    assert np.count_nonzero(probs) == 2


def test_a_row_masked_throughout_is_even():
    logits = np.full((1, 1, SEVERAL_CHUNKS), np.finfo("float32").min, "float32")
    np.testing.assert_allclose(softmax(logits, [0.5]), 1 / SEVERAL_CHUNKS, rtol=1e-6)


def test_large_logits_do_not_overflow():
    logits = np.array([[[3e38, 2.9e38, -3e38]]], "float32")
    assert softmax(logits, [1.0]).tolist() == [[[1, 0, 0]]]


def test_nan_spoils_its_own_row_only_and_no_greedy_one():
    logits = np.zeros((3, 1, 100), "float32")
    logits[:2, 0, 50] = np.nan
    logits[1, 0, 7] = 1
    probs = softmax(logits, [1.0, 0.0, 1.0])
    assert np.isnan(probs[0]).all()
    assert probs[1, 0].argmax() == 7
    np.testing.assert_allclose(probs[2], 0.01, rtol=1e-6)
