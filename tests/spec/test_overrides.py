"""Overrides, each right by itself, that contradict each other."""

import pytest

from mlcx.spec.overrides import contradictions, mistaken, whole

NEEDS = (
    "attention_sink_size 4 needs a sliding window, and neither the overrides nor the "
    "model set one: add sliding_window_size or remove this"
)
AWAY = (
    "attention_sink_size 4 needs a sliding window, and sliding_window_size -1 takes it "
    "away: remove one of them"
)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            {"context_window_size": 16, "sliding_window_size": 8},
            [
                (
                    "sliding_window_size",
                    "sliding_window_size 8 and context_window_size 16 exclude each "
                    "other: remove one, or set it to -1",
                )
            ],
        ),
        (
            {"context_window_size": 16, "prefill_chunk_size": 17},
            [
                (
                    "prefill_chunk_size",
                    "expected at most 16, the context_window_size, found 17",
                )
            ],
        ),
        (
            {"sliding_window_size": 16, "prefill_chunk_size": 17},
            [
                (
                    "prefill_chunk_size",
                    "expected at most 16, the sliding_window_size, found 17",
                )
            ],
        ),
        (
            {"sliding_window_size": 4, "attention_sink_size": 4},
            [
                (
                    "attention_sink_size",
                    "expected less than 4, the sliding_window_size, found 4",
                )
            ],
        ),
        ({"attention_sink_size": 4}, [("attention_sink_size", NEEDS)]),
        (
            {"attention_sink_size": 4, "sliding_window_size": -1},
            [("attention_sink_size", AWAY)],
        ),
    ],
)
def test_a_contradiction_is_found(
    overrides: dict[str, int], expected: list[tuple[str, str]]
) -> None:
    assert list(contradictions(overrides, model_has_window=False)) == expected


def test_switching_a_models_window_off_leaves_sinks_without_one() -> None:
    overrides = {"attention_sink_size": 4, "sliding_window_size": -1}
    found = list(contradictions(overrides, model_has_window=True))
    assert found == [("attention_sink_size", AWAY)]


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"context_window_size": 16, "sliding_window_size": -1},
        {"context_window_size": -1, "sliding_window_size": 8},
        {"context_window_size": 16, "prefill_chunk_size": 16},
        {"sliding_window_size": 5, "attention_sink_size": 4},
        {"attention_sink_size": 0},
        {"attention_sink_size": -1},
        {"prefill_chunk_size": 2048},
    ],
)
def test_what_goes_together_passes(overrides: dict[str, int]) -> None:
    assert not list(contradictions(overrides, model_has_window=False))


def test_a_models_own_window_is_enough_for_sinks() -> None:
    overrides = {"attention_sink_size": 4}
    assert not list(contradictions(overrides, model_has_window=True))


def test_a_float_that_is_whole_is_that_number() -> None:
    given = {"context_window_size": 512.0, "disaggregation": True}
    assert mistaken(given) == ""
    plain = whole(given)
    assert plain == given
    assert type(plain["context_window_size"]) is int


@pytest.mark.parametrize("value", [512.5, float("inf"), float("nan"), True, None])
def test_what_is_no_whole_number_is_not_made_one(value: object) -> None:
    found = f"context_window_size: expected a whole number, found {value!r}"
    assert mistaken({"context_window_size": value}) == found
