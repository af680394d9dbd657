import numpy as np
import pytest
from tvm.target import Target

from mlcx.compiler.passes.attach_samplers import AttachSamplers

from .built_module import dynamic_allocations, lookup, planned, tensors

VOCAB = 259
GRAPH_FUNCTIONS = [
    "multinomial_from_uniform",
    "argsort_probs",
    "sample_with_top_p",
    "sampler_take_probs",
    "renormalize_by_top_p",
]


@pytest.fixture(scope="module")
def function():
    return lookup(AttachSamplers(Target("llvm"), VOCAB, 4))


@pytest.fixture
def probs():
    weights = np.random.default_rng(3).permuted(
        np.tile(np.arange(VOCAB), (2, 1)), axis=1
    )
    return (weights / weights.sum(1, keepdims=True)).astype("float32")


def i32(*values):
    return np.array(values, "int32")


def f32(*values):
    return np.array(values, "float32")


def test_draws_by_inverse_cumulative_probability(function, probs):
    uniform, rows = f32(0.2, 0.7, 0.5), i32(1, 1, 0)
    draw = function("multinomial_from_uniform")
    drawn = draw(*tensors(probs, uniform, rows)).numpy()
    cumulative = np.cumsum(probs.astype("float64"), axis=1)
    expected = np.argmax(cumulative[rows] > uniform[:, None], axis=1)
    assert drawn.tolist() == expected.tolist()


def test_sorts_then_draws_from_the_nucleus_then_reads_probabilities(function, probs):
    (on_device,) = tensors(probs)
    ranked, order = function("argsort_probs")(on_device)
    assert (ranked.numpy() == -np.sort(-probs, axis=1)).all()
    rows, limits = i32(0, 1), f32(1e-4, 0.5)
    draw = function("sample_with_top_p")
    drawn = draw(ranked, order, *tensors(f32(0.99, 0), rows, limits))
    best = probs.argmax(1).tolist()
    assert drawn.numpy().tolist() == best
    take = function("sampler_take_probs")
    offsets = i32(0, VOCAB, VOCAB + 1)
    own, top, tokens = take(on_device, order, *tensors(rows), drawn, *tensors(offsets))
    assert own.numpy().tolist() == [probs[0, best[0]], probs[1, best[1]]]
    assert top.numpy().tolist() == [*own.numpy(), ranked.numpy()[1, 1]]
    assert tokens.numpy().tolist() == [*best, order.numpy()[1, 1]]


def test_renormalizes_the_nucleus(function, probs):
    pivots = np.full((2, 3), 0.005, "float32")
    cut = function("renormalize_by_top_p")
    kept = cut(*tensors(probs, f32(0.3, 1), pivots)).numpy()
    np.testing.assert_allclose(kept.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(kept[1], probs[1], rtol=1e-5)
    least = probs[0][kept[0] > 0].min()
    assert probs[0][probs[0] >= least].sum() >= 0.3 > probs[0][probs[0] > least].sum()


def test_verifies_drafts_in_place(function):
    draft = np.zeros((2, VOCAB), "float32")
    draft[1, 5] = 1
    model = np.full((2, VOCAB), 1 / VOCAB, "float32")
    tree = i32(1, -1), i32(-1, -1), f32(0, 0.5), i32(0)
    arguments = tensors(draft, i32(0, 5), model, *tree)
    function("sampler_verify_draft_tokens")(*arguments)
    after, parent = arguments[2].numpy(), arguments[6].numpy()
    assert parent.tolist() == [0]
    assert after[0, 5] == 0
    np.testing.assert_allclose(after[0].sum(), 1, rtol=1e-5)


def test_memory_is_planned_for_the_largest_batch():
    mod = planned(AttachSamplers(Target("llvm"), VOCAB, 4))
    assert not any(dynamic_allocations(mod, name) for name in GRAPH_FUNCTIONS)
