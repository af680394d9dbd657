from __future__ import annotations

import numpy as np
import pytest

from mlcx.errors import MlcxError, UsageError
from mlcx.runtime.sampler import Sampler, Sampling, nucleus

RNG = np.random.default_rng(7)


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits.astype(np.float64) - logits.max())
    return weights / weights.sum()


def test_temperature_zero_takes_the_most_likely_token() -> None:
    logits = RNG.normal(size=200).astype(np.float32)
    sampler = Sampler(Sampling(temperature=0.0), 200)
    assert {sampler.sample(logits) for _ in range(20)} == {int(logits.argmax())}


def test_ids_beyond_the_vocabulary_are_never_chosen() -> None:
    logits = np.zeros(12, np.float32)
    logits[10:] = 100
    for temperature in (0.0, 1.0):
        sampler = Sampler(Sampling(temperature=temperature, seed=1), 10)
        assert all(sampler.sample(logits) < 10 for _ in range(50))


def test_the_same_seed_gives_the_same_tokens_and_another_seed_others() -> None:
    logits = RNG.normal(size=1000).astype(np.float32)

    def draw(seed: int) -> list[int]:
        sampler = Sampler(Sampling(seed=seed, top_p=0.9), 1000)
        return [sampler.sample(logits) for _ in range(20)]

    assert draw(3) == draw(3)
    assert draw(3) != draw(4)


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (1.3, 0.8)])
def test_tokens_appear_as_often_as_the_distribution_says(
    temperature: float, top_p: float
) -> None:
    logits = np.array([2.0, 1.0, 0.5, 0.0, -1.0, -3.0], np.float32)
    expected = softmax(logits / temperature)
    order = np.argsort(-expected)
    kept = int(np.searchsorted(expected[order].cumsum(), top_p)) + 1
    expected[order[kept:]] = 0
    expected /= expected.sum()
    sampler = Sampler(Sampling(temperature=temperature, top_p=top_p, seed=11), 6)
    draws = np.array([sampler.sample(logits) for _ in range(20_000)])
    found = np.bincount(draws, minlength=6) / len(draws)
    assert np.abs(found - expected).max() < 0.015
    assert (found[expected == 0] == 0).all()


@pytest.mark.parametrize("top_p", [0.01, 0.3, 0.9, 0.999, 0.999999])
def test_the_nucleus_is_what_sorting_all_tokens_gives(top_p: float) -> None:
    for scale in (0.0, 1.0, 8.0):
        weights = softmax(RNG.normal(size=500) * scale)
        order = np.argsort(-weights, kind="stable")
        before = weights[order].cumsum() - weights[order]
        assert nucleus(weights, top_p).tolist() == order[before < top_p].tolist()


def test_penalties_follow_the_formula_of_the_format() -> None:
    logits = np.array([3.0, 2.0, -1.0, 0.5], np.float32)
    rule = Sampling(
        temperature=0.0,
        presence_penalty=0.5,
        frequency_penalty=0.25,
        repetition_penalty=2.0,
    )
    sampler = Sampler(rule, 4)
    # Generated n times, token 0 has (3 - 0.5 - 0.25 n) / 2 and token 1, once, 0.625.
    # Token 0 leads until it has 0.5 at n = 6; at n = 5 they are equal.
    assert [sampler.sample(logits) for _ in range(8)] == [0, 1, 0, 0, 0, 0, 0, 1]


def test_a_repetition_penalty_pushes_negative_logits_down() -> None:
    sampler = Sampler(Sampling(temperature=0.0, repetition_penalty=3.0), 2)
    logits = np.array([-1.0, -2.0], np.float32)
    assert [sampler.sample(logits) for _ in range(3)] == [0, 1, 0]


def test_logits_that_are_no_numbers_are_an_error() -> None:
    with pytest.raises(MlcxError, match="logit of nan"):
        Sampler(Sampling(), 3).sample(np.array([0, np.nan, 1], np.float32))


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"presence_penalty": 2.5},
        {"frequency_penalty": -3.0},
        {"repetition_penalty": 0.0},
        {"max_tokens": 0},
        {"seed": -1},
    ],
)
def test_a_setting_out_of_bounds_is_refused(wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(UsageError, match=f"{name}: expected"):
        Sampling(**wrong)  # type: ignore[arg-type]
