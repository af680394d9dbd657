from __future__ import annotations

import pytest

from mlcx.errors import MlcxError, UsageError
from mlcx.runtime.engine import Engine
from mlcx.runtime.sampler import Sampling

from .fake import FailingModel, FakeModel, greedy_after

PROMPT = list(range(1, 11))
GREEDY = Sampling(temperature=0.0, max_tokens=6)


def engine_on(model: FakeModel, slots: int = 3, context: int = 64) -> Engine:
    return Engine(model, slots, context, vocabulary=50)


def test_a_prompt_is_prefilled_in_chunks_and_continued_by_decoding() -> None:
    model = FakeModel()
    engine = engine_on(model)
    answer = list(engine.follow(engine.submit(PROMPT, GREEDY)))
    assert answer == greedy_after(PROMPT, 6)
    functions = [function for function, _ in model.calls]
    assert functions == ["prefill"] * 3 + ["decode"] * 5
    assert [len(part[0]) for _, part in model.calls] == [4, 4, 2, 1, 1, 1, 1, 1]


def test_requests_run_together_answer_as_if_alone() -> None:
    model = FakeModel()
    engine = engine_on(model)
    prompts = [[5], PROMPT, [7, 8, 9], [1, 2], [3, 3, 3, 3, 3]]
    requests = [engine.submit(prompt, GREEDY) for prompt in prompts]
    while engine.step():
        pass
    for prompt, request in zip(prompts, requests, strict=True):
        assert request.output == greedy_after(prompt, 6)
        assert request.finish == "length"
    assert {"batch_prefill", "batch_decode"} <= {
        function for function, _ in model.calls
    }
    assert model.cache == {}


def test_a_request_submitted_later_joins_those_that_run() -> None:
    model = FakeModel()
    engine = engine_on(model)
    first = engine.submit([1, 2], GREEDY)
    engine.step()
    second = engine.submit([3, 4], GREEDY)
    engine.step()
    assert 0 < len(first.output) < 6
    assert second.output
    while engine.step():
        pass
    assert first.output == greedy_after([1, 2], 6)
    assert second.output == greedy_after([3, 4], 6)


def test_more_requests_than_slots_wait_for_a_free_one() -> None:
    model = FakeModel(sequences=1)
    engine = engine_on(model, slots=1)
    requests = [engine.submit([n], GREEDY) for n in range(1, 4)]
    engine.step()
    assert [bool(request.output) for request in requests] == [True, False, False]
    while engine.step():
        pass
    assert [r.output for r in requests] == [greedy_after([n], 6) for n in range(1, 4)]


def test_a_stop_token_ends_the_answer_and_is_no_part_of_it() -> None:
    expected = greedy_after(PROMPT, 6)
    stop = expected[3]
    assert stop not in expected[:3]
    sampling = Sampling(temperature=0.0, stop_tokens=frozenset({stop}))
    model = FakeModel()
    engine = engine_on(model)
    request = engine.submit(PROMPT, sampling)
    assert list(engine.follow(request)) == expected[:3]
    assert request.finish == "stop"
    assert model.cache == {}


def test_a_full_context_ends_the_answer() -> None:
    engine = engine_on(FakeModel(), context=14)
    request = engine.submit(PROMPT, Sampling(temperature=0.0))
    assert list(engine.follow(request)) == greedy_after(PROMPT, 4)
    assert request.finish == "length"


def test_closing_the_iterator_frees_the_slot() -> None:
    model = FakeModel(sequences=1)
    engine = engine_on(model, slots=1)
    request = engine.submit(PROMPT, GREEDY)
    tokens = engine.follow(request)
    next(tokens)
    tokens.close()
    assert request.finish == "cancelled"
    assert model.cache == {}
    assert list(engine.follow(engine.submit([9], GREEDY))) == greedy_after([9], 6)


def test_an_iterator_that_is_forgotten_before_it_began_frees_the_slot() -> None:
    model = FakeModel(sequences=1)
    engine = engine_on(model, slots=1)
    request = engine.submit(PROMPT, GREEDY)
    engine.step()
    engine.follow(request)
    assert request.finish == "cancelled"
    assert model.cache == {}


def test_a_request_without_logits_fails_alone() -> None:
    model = FailingModel(3, "nan")
    engine = engine_on(model)
    first, second, third = (engine.submit([n], GREEDY) for n in (1, 2, 3))
    tokens = engine.follow(first)
    assert [next(tokens), next(tokens)] == first.output
    with pytest.raises(MlcxError, match="a logit of nan"):
        next(tokens)
    while engine.step():
        pass
    assert (first.finish, first.output) == ("error", greedy_after([1], 2))
    assert second.output == greedy_after([2], 6)
    assert third.output == greedy_after([3], 6)
    assert model.cache == {}


def test_a_call_that_fails_ends_its_requests_and_no_others() -> None:
    model = FailingModel(2, "error")
    engine = engine_on(model, slots=2)
    both = [engine.submit([n], GREEDY) for n in (1, 2)]
    waiting = engine.submit([3], GREEDY)
    assert list(engine.follow(waiting)) == greedy_after([3], 6)
    for request in both:
        assert (request.finish, len(request.output)) == ("error", 1)
        with pytest.raises(MlcxError, match="broken"):
            list(engine.follow(request))
    assert model.cache == {}


def test_a_call_that_is_interrupted_cancels_its_requests() -> None:
    model = FailingModel(2, "interrupt")
    engine = engine_on(model, slots=2)
    both = [engine.submit([n], GREEDY) for n in (1, 2)]
    with pytest.raises(KeyboardInterrupt):
        list(engine.follow(both[0]))
    assert [request.finish for request in both] == ["cancelled"] * 2
    assert model.cache == {}


def test_a_waiting_request_can_be_cancelled() -> None:
    model = FakeModel(sequences=1)
    engine = engine_on(model, slots=1)
    first, second = (engine.submit([n], GREEDY) for n in (1, 2))
    engine.step()
    engine.cancel(second)
    while engine.step():
        pass
    assert first.finish == "length"
    assert second.output == []


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ([], "no tokens"),
        ([1] * 64, "64 tokens, and the context is of 64"),
        ([1, 50], "token 50: expected an id from 0 to 49"),
        ([-1], "token -1"),
    ],
)
def test_a_prompt_that_cannot_be_answered_is_refused(
    prompt: list[int], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        engine_on(FakeModel()).submit(prompt, GREEDY)
