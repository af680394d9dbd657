"""Nodes of a tree: 0 is the root, that has drawn nothing; the others are drafts."""

from functools import cache

import numpy as np
import pytest

from mlcx.compiler.kernels.cpu.verify_drafts import verify_draft_tokens

from .built_kernel import build


def f32(*values):
    return np.array(values, "float32")


def i32(*values):
    return np.array(values, "int32")


@cache
def built(vocab, lanes):
    return build(verify_draft_tokens(vocab, lanes))


def verify(draft, tokens, model, child, sibling, uniform, roots, lanes=4):
    arrays = draft, i32(*tokens), model, i32(*child), i32(*sibling), f32(*uniform)
    *_, parent = after = built(draft.shape[1], lanes)(*arrays, i32(*roots))
    return parent.tolist(), after[2]


def reference(draft, tokens, model, child, sibling, uniform, roots):
    model, last = model.astype("float64"), []
    for root in roots:
        at, node = root, child[root]
        while node != -1:
            p, q = model[at, tokens[node]], float(draft[node, tokens[node]])
            residual = np.maximum(model[at] - draft[node], 0)
            if p >= uniform[node] * q or residual.sum() < 1e-7:
                at, node = node, child[node]
            else:
                model[at] = residual / residual.sum()
                node = sibling[node]
        last.append(at)
    return last, model


CHAIN = {"child": [1, 2, -1], "sibling": [-1, -1, -1], "roots": [0]}


def test_a_chain_is_followed_as_far_as_the_model_agrees():
    probs = f32([0, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 0.5, 0.5, 0])
    model = f32([1, 0, 0, 0], [0, 0, 0.5, 0.5], [0, 0, 0, 1])
    uniform = [0, 0.9, 0.5]  # the second draft, token 1, has p = 0
    last, after = verify(probs, [9, 0, 1], model, uniform=uniform, **CHAIN)
    assert last == [1]
    np.testing.assert_allclose(after[1], [0, 0, 0, 1])  # max(p - q, 0), to mass 1
    assert (after[[0, 2]] == model[[0, 2]]).all()


@pytest.mark.parametrize(("uniform", "last"), [(0.5, 1), (0.5000001, 0)])
def test_the_boundary_itself_is_accepted(uniform, last):
    draft = f32([0, 0], [0.5, 0.5])
    model = f32([0.25, 0.75], [1, 0])
    tree = {"child": [1, -1], "sibling": [-1, -1], "roots": [0]}
    assert verify(draft, [9, 0], model, uniform=[0, uniform], **tree)[0] == [last]


def test_a_sibling_is_judged_by_what_the_first_one_left():
    draft = f32([0, 0, 0], [1, 0, 0], [0, 1, 0])
    model = f32([0.2, 0.3, 0.5], [0, 0, 1], [0, 1, 0])
    tree = {"child": [1, -1, -1], "sibling": [-1, 2, -1], "roots": [0]}
    # After the first rejection token 1 has 0.3 / 0.8 = 0.375.
    accepted, _ = verify(draft, [9, 0, 1], model, uniform=[0, 0.9, 0.37], **tree)
    rejected, after = verify(draft, [9, 0, 1], model, uniform=[0, 0.9, 0.38], **tree)
    assert (accepted, rejected) == ([2], [0])
    np.testing.assert_allclose(after[0], [0, 0, 1], rtol=1e-6)


def test_a_draft_with_no_residual_is_accepted():
    same = f32([0.5, 0.5], [0.5, 0.5])
    tree = {"child": [1, -1], "sibling": [-1, -1], "roots": [0]}
    last, after = verify(same, [9, 0], same.copy(), uniform=[0, 2.0], **tree)
    assert last == [1]
    assert (after == same).all()


def test_a_root_without_drafts_stays():
    probs = f32([1, 0])
    assert verify(probs, [0], probs.copy(), [-1], [-1], [0.5], [0])[0] == [0]


@pytest.mark.parametrize("lanes", [4, 16])
def test_random_trees_of_two_sequences_agree_with_float64(lanes, rng):
    # Two binary trees of 7 nodes, the second one's nodes 7 to 13.
    child = [1, 3, 5, -1, -1, -1, -1, 8, 10, 12, -1, -1, -1, -1]
    sibling = [-1, 2, -1, 4, -1, 6, -1, -1, 9, -1, 11, -1, 13, -1]
    probs = rng.random((2, 14, 133)) ** 4
    draft, model = (probs / probs.sum(-1, keepdims=True)).astype("float32")
    accepted = set()
    for _ in range(20):
        tokens = rng.integers(0, 133, 14)
        arguments = draft, tokens, model, child, sibling, rng.random(14), [0, 7]
        last, after = verify(*arguments, lanes=lanes)
        expected_last, expected = reference(*arguments)
        assert last == expected_last
        np.testing.assert_allclose(after, expected, rtol=1e-4, atol=1e-8)
        accepted |= set(last)
    assert len(accepted) > 4  # all kinds of paths were taken
