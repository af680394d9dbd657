from functools import cache

import numpy as np

from mlcx.compiler.kernels.cpu import sampling

from .built_kernel import build

LARGEST_BELOW_1 = np.nextafter(np.float32(1), np.float32(0))


def f32(*values):
    return np.array(values, "float32")


def i32(*values):
    return np.array(values, "int32")


@cache
def built(name, vocab):
    return build(getattr(sampling, name)(vocab))


def multinomial(probs, uniform, rows=None):
    uniform = f32(*uniform)
    rows = np.zeros(len(uniform), "int32") if rows is None else i32(*rows)
    run = built("multinomial_from_uniform", probs.shape[1])
    return run(probs, uniform, rows, np.full(len(uniform), -9, "int32"))[3].tolist()


def top_p(probs, uniform, limit, rows=None):
    uniform = f32(*uniform)
    rows = np.zeros(len(uniform), "int32") if rows is None else i32(*rows)
    order = np.argsort(-probs, axis=1, kind="stable").astype("int32")
    ranked = np.take_along_axis(probs, order, 1)
    run = built("sample_with_top_p", probs.shape[1])
    out = np.full(len(uniform), -9, "int32")
    return run(ranked, order, uniform, rows, f32(*limit), out)[5].tolist()


def test_draws_the_first_token_whose_cumulative_exceeds_the_uniform():
    probs = f32([0.25, 0, 0.25, 0.5, 0])
    assert multinomial(probs, [0, 0.249, 0.25, 0.49, 0.5, 0.99]) == [0, 0, 2, 2, 3, 3]


def test_never_draws_what_is_impossible():
    probs = f32([0, 0, 0.5, 0.4999, 0, 0])
    assert multinomial(probs, [0, LARGEST_BELOW_1, 1]) == [2, 3, 3]


def test_draws_from_the_row_that_the_sample_names():
    probs = np.eye(4, dtype="float32")
    assert multinomial(probs, [0.5] * 5, [3, 1, 1, 0, 2]) == [3, 1, 1, 0, 2]


def test_a_large_row_is_drawn_from_exactly(rng):
    probs = rng.random((1, 50000)).astype("float32")
    probs /= probs.sum()
    uniform = rng.random(40).astype("float32")
    exact = np.cumsum(probs[0].astype("float64"))
    expected = [int(np.argmax(exact > u)) for u in uniform]
    assert multinomial(probs, uniform) == expected


def test_the_nucleus_ends_where_top_p_is_reached():
    probs = f32([0.1, 0.5, 0.25, 0.15])  # falling: tokens 1, 2, 3, 0
    nucleus = {0: [1], 0.4: [1], 0.5: [1], 0.6: [1, 2], 0.75: [1, 2], 0.8: [1, 2, 3]}
    for limit, tokens in nucleus.items():
        drawn = top_p(probs, np.linspace(0, LARGEST_BELOW_1, 50), [limit])
        assert set(drawn) == set(tokens), limit
    drawn = top_p(probs, np.linspace(0, LARGEST_BELOW_1, 50), [1])
    assert set(drawn) == {0, 1, 2, 3}


def test_the_nucleus_is_brought_to_mass_one():
    probs = f32([0.5, 0.25, 0.25])
    below, above = np.float32(2 / 3) - 1e-5, np.float32(2 / 3) + 1e-5
    assert top_p(probs, [below, above], [0.75]) == [0, 1]


def test_each_row_has_its_own_top_p():
    probs = f32([0.5, 0.5], [0.5, 0.5])
    assert top_p(probs, [0.9, 0.9], [0.1, 1.0], rows=[0, 1]) == [0, 1]


def test_top_p_never_draws_what_is_impossible():
    probs = f32([0, 0.6, 0, 0.3999])
    assert top_p(probs, [0, LARGEST_BELOW_1, 1], [1]) == [1, 3, 3]


def test_top_p_agrees_with_a_draw_in_float64(rng):
    probs = np.exp(3 * rng.standard_normal((4, 997))).astype("float32")
    probs /= probs.sum(1, keepdims=True)
    limits, rows = [0.3, 0.9, 0.99, 1.0], rng.integers(0, 4, 60)
    uniform = rng.random(60).astype("float32")
    expected = []
    for u, row in zip(uniform, rows, strict=True):
        order = np.argsort(-probs[row], kind="stable")
        mass = np.cumsum(probs[row, order].astype("float64"))
        nucleus = np.concatenate([[0.0], mass[:-1]]) < np.float32(limits[row])
        mass = mass[nucleus]
        expected.append(int(order[np.argmax(mass > u * mass[-1])]))
    assert top_p(probs, uniform, limits, rows) == expected


def test_takes_probabilities_of_samples_and_of_the_likeliest(rng):
    probs = rng.random((3, 50)).astype("float32")
    order = np.argsort(-probs, axis=1, kind="stable").astype("int32")
    rows, drawn = i32(2, 0), i32(49, 7)
    ranks = [(2, 0), (2, 1), (0, 4)]
    offsets = i32(*(row * 50 + rank for row, rank in ranks))
    made = [np.zeros(2, "float32"), np.zeros(3, "float32"), np.zeros(3, "int32")]
    run = built("sampler_take_probs", 50)
    *_, own, top, tokens = run(probs, order, rows, drawn, offsets, *made)
    assert own.tolist() == [probs[2, 49], probs[0, 7]]
    assert tokens.tolist() == [order[at] for at in ranks]
    assert top.tolist() == [probs[row, order[row, rank]] for row, rank in ranks]


def test_takes_nothing_when_no_likeliest_are_asked_for(rng):
    probs = rng.random((1, 5)).astype("float32")
    run = built("sampler_take_probs", 5)
    order = np.zeros((1, 5), "int32")
    made = [np.zeros(1, "float32"), f32(), i32()]
    arrays = run(probs, order, i32(0), i32(3), i32(), *made)
    assert arrays[5].tolist() == [probs[0, 3]]
