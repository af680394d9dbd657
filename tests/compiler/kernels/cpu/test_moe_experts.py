"""Products with the weights of chosen experts, against numpy in float64."""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest

from mlcx.compiler.kernels.cpu.moe_experts import Pairs, experts_matmul

from .matmul_reference import (
    FLOAT8,
    FORMATS,
    TARGETS,
    TOLERANCE,
    Weight,
    random_weight,
)
from .target_kernel import build_for

EXPERTS, CHOSEN = 5, 2
ROWS = {k: v for k, v in (FORMATS | FLOAT8).items() if not k.endswith("_kn")}
"""Formats that are stored by rows, as experts always are."""


@cache
def built(
    target: str, name: str, n: int, k: int, tokens: int | None, spread: bool
) -> Callable[..., None]:
    fmt, dtype = ROWS[name]
    pairs = Pairs(tokens, CHOSEN, EXPERTS, spread)
    return build_for(
        TARGETS[target],
        experts_matmul(TARGETS[target], fmt, pairs, n, k, (dtype, "float32")),
    )


def sorted_pairs(choice: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the order and the starts of ``choice`` (t, k)."""
    order = np.argsort(choice.ravel(), kind="stable").astype(np.int32)
    counts = np.bincount(choice.ravel(), minlength=EXPERTS)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return order.reshape(choice.shape), starts


def assert_products(
    run: Callable[..., None],
    name: str,
    n: int,
    k: int,
    choice: np.ndarray,
    spread: bool,
    rng: np.random.Generator,
) -> None:
    fmt, dtype = ROWS[name]
    stack = [random_weight(fmt, n, k, rng) for _ in range(EXPERTS)]
    if stack[0].arrays[-1].ndim == 1:
        stack = [shared(stack[0].arrays[-1], each) for each in stack]
    arrays = [
        np.stack(each) if each[0].ndim > 1 else each[0]
        for each in zip(*(w.arrays for w in stack), strict=True)
    ]
    rows = len(choice) * (1 if spread else CHOSEN)
    x = rng.standard_normal((rows, k)).astype(dtype)
    out = np.full((choice.size, n), np.nan, np.float32)
    run(*sorted_pairs(choice), x, *arrays, out)
    inputs = np.repeat(x, CHOSEN, 0) if spread else x
    expected = np.stack(
        [stack[e].matrix @ row for e, row in zip(choice.ravel(), inputs, strict=True)]
    )
    assert np.abs(out - expected).max() < TOLERANCE["float32"] * abs(expected).max()


def shared(scale: np.ndarray, weight: Weight) -> Weight:
    """Return ``weight`` with a scale that is another's."""
    stored, own = weight.arrays
    return Weight([stored, scale], weight.matrix / float(own[0]) * float(scale[0]))


def choices(tokens: int, rng: np.random.Generator) -> np.ndarray:
    """Return two experts of each token, unevenly; the last expert is not chosen."""
    likely = np.array([0.7, 0.2, 0.05, 0.05, 0])
    return np.stack(
        [rng.choice(EXPERTS, CHOSEN, replace=False, p=likely) for _ in range(tokens)]
    )


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize(("n", "k"), [(37, 44)])
def test_a_token_meets_the_experts_that_it_chose(
    name: str, n: int, k: int, rng: np.random.Generator
) -> None:
    run = built("host", name, n, k, 1, True)
    assert_products(run, name, n, k, np.array([[3, 1]]), True, rng)


@pytest.mark.slow
@pytest.mark.parametrize("target", sorted(set(TARGETS) - {"host"}))
@pytest.mark.parametrize("name", ROWS)
def test_narrow_vectors_give_the_same(
    target: str, name: str, rng: np.random.Generator
) -> None:
    run = built(target, name, 5, 33, 1, True)
    assert_products(run, name, 5, 33, np.array([[3, 1]]), True, rng)


def every_kernel() -> Iterator[Any]:
    """Return all formats, with rows shared by pairs and not; few are not slow."""
    quick = {("q4f16", True), ("f32", False)}
    for case in product(ROWS, (True, False)):
        yield pytest.param(*case, marks=() if case in quick else pytest.mark.slow)


@pytest.mark.parametrize(("name", "spread"), list(every_kernel()))
def test_each_row_meets_its_own_expert_however_many_there_are(
    name: str, spread: bool, rng: np.random.Generator
) -> None:
    run = built("host", name, 70, 200, None, spread)
    for tokens in (1, 2, 3, 9, 60):
        choice = choices(tokens, rng)
        assert_products(run, name, 70, 200, choice, spread, rng)
