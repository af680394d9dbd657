import numpy as np
import pytest

from mlcx.compiler.kernels.cpu import logits

from .built_kernel import build

LOWEST = np.finfo("float32").min


def i32(*values):
    return np.array(values, "int32")


def f32(*values):
    return np.array(values, "float32")


def test_a_bias_is_added_where_it_belongs_and_twice_when_given_twice(rng):
    before = rng.standard_normal((3, 259)).astype("float32")
    rows, tokens = i32(2, 0, 2, 2), i32(258, 5, 258, 0)
    bias = f32(1.5, -100, 2.25, 0.5)
    after = build(logits.apply_logit_bias())(before, rows, tokens, bias)[0]
    expected = before.astype("float64")
    np.add.at(expected, (rows, tokens), bias)
    np.testing.assert_allclose(after, expected, rtol=1e-6)


def test_no_bias_changes_nothing(rng):
    before = rng.standard_normal((2, 5)).astype("float32")
    after = build(logits.apply_logit_bias())(before, i32(), i32(), f32())[0]
    assert (after == before).all()


def test_penalties_push_logits_of_either_sign_down(rng):
    before = rng.standard_normal((4, 100)).astype("float32")
    before[3, :2] = [2, -2]
    seq_ids = i32(3, 1)  # row 3 is the first sequence here, row 1 the second
    pos2seq = i32(0, 0, 0, 1, 1)
    tokens, counts = i32(0, 1, 2, 1, 99), i32(1, 2, 3, 4, 5)
    penalties = f32([0.5, 0.25, 1.5], [0, 0.1, 1])
    run = build(logits.apply_penalty())
    after = run(before, seq_ids, pos2seq, tokens, counts, penalties)[0]
    expected = before.astype("float64")
    for seq, token, count in zip(pos2seq, tokens, counts, strict=True):
        presence, frequency, repetition = penalties[seq]
        value = expected[seq_ids[seq], token] - presence - count * frequency
        value = value * repetition if value < 0 else value / repetition
        expected[seq_ids[seq], token] = value
    np.testing.assert_allclose(after, expected, rtol=1e-5)
    assert after[3, 0] == pytest.approx((2 - 0.75) / 1.5)
    assert after[3, 1] == pytest.approx((-2 - 1) * 1.5)


@pytest.mark.parametrize("vocab", [1, 31, 32, 259, 8165, 8192, 8195])
def test_a_mask_lowers_tokens_of_the_rows_named_by_their_own_mask_row(vocab, rng):
    before = rng.standard_normal((5, vocab)).astype("float32")
    words = rng.integers(-(2**31), 2**31, (5, -(-vocab // 32))).astype("int32")
    rows = i32(4, 1)
    after = build(logits.apply_bitmask())(before, rows, words)[0]
    bits = np.unpackbits(words.view("uint8"), axis=1, bitorder="little")[:, :vocab]
    expected = before.copy()
    expected[rows] = np.where(bits[rows] == 1, before[rows], LOWEST)
    assert (after == expected).all()


def test_every_bit_of_a_word_is_its_own_token():
    run = build(logits.apply_bitmask())
    for bit in range(32):
        word = np.array([[1 << bit]], "uint32").view("int32")
        after = run(np.zeros((1, 32), "float32"), i32(0), word)[0]
        assert np.flatnonzero(after == 0).tolist() == [bit]
