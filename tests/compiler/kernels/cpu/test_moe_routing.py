"""Choosing experts, and pairs sorted by expert, against numpy."""

from itertools import pairwise

import numpy as np
import pytest

from mlcx.compiler.kernels.cpu.moe_routing import routing

from .target_kernel import HOST, build_for


def route(
    logits: np.ndarray, chosen: int, *, normalized: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weights, order and starts."""
    tokens, experts = logits.shape
    weights = np.full((tokens, chosen), np.nan, np.float32)
    order = np.full((tokens, chosen), -1, np.int32)
    starts = np.full(experts + 1, -1, np.int32)
    run = build_for(HOST, routing(experts, chosen, normalized=normalized))
    run(logits, weights, order, starts)
    return weights, order, starts


def experts_of(order: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the expert of each pair, (t, k)."""
    found = np.full(order.size, -1)
    for expert, (start, end) in enumerate(pairwise(starts)):
        found[order.ravel()[start:end]] = expert
    return found.reshape(order.shape)


@pytest.mark.parametrize(("experts", "chosen"), [(5, 2), (8, 3)])
@pytest.mark.parametrize("normalized", [True, False])
def test_a_token_takes_its_likeliest_experts_by_their_shares(
    experts: int, chosen: int, normalized: bool, rng: np.random.Generator
) -> None:
    logits = (4 * rng.standard_normal((40, experts))).astype(np.float32)
    weights, order, starts = route(logits, chosen, normalized=normalized)
    likeliest = np.argsort(-logits, axis=1)[:, :chosen]
    assert (experts_of(order, starts) == likeliest).all()
    shares = np.exp(logits.astype("float64"))
    taken = np.take_along_axis(shares, likeliest, 1)
    total = (taken if normalized else shares).sum(1, keepdims=True)
    np.testing.assert_allclose(weights, taken / total, rtol=2e-6)


def test_pairs_of_an_expert_stay_in_the_order_of_the_tokens(
    rng: np.random.Generator,
) -> None:
    logits = rng.standard_normal((300, 5)).astype(np.float32)
    _, order, starts = route(logits, 2, normalized=True)
    assert sorted(order.ravel()) == list(range(600))
    pairs = [order.ravel()[a:b] for a, b in pairwise(starts)]
    assert all((np.diff(each) > 0).all() for each in pairs)


@pytest.mark.parametrize("value", [0.0, np.nan, -np.inf, 1e30])
def test_experts_differ_even_where_no_score_does(value: float) -> None:
    logits = np.full((3, 6), value, np.float32)
    _, order, starts = route(logits, 4, normalized=True)
    assert (np.sort(experts_of(order, starts), axis=1) == np.arange(4)).all()
