from __future__ import annotations

from mlcx.runtime.request import Request
from mlcx.runtime.sampler import Sampler, Sampling
from mlcx.runtime.scheduler import Scheduler


def request(name: int, length: int) -> Request:
    sampling = Sampling()
    return Request(name, tuple(range(length)), sampling, Sampler(sampling, 100))


def lengths(work: dict[Request, list[int]]) -> dict[int, int]:
    return {one.sequence: len(part) for one, part in work.items()}


def test_a_chunk_is_filled_across_requests_in_order_of_arrival() -> None:
    scheduler = Scheduler(slots=3, chunk=8)
    for name, length in enumerate((5, 6, 2)):
        scheduler.submit(request(name, length))
    assert [one.sequence for one in scheduler.admit()] == [0, 1, 2]
    chunk = scheduler.prefill()
    assert lengths(chunk) == {0: 5, 1: 3}
    for one, part in chunk.items():
        one.cached += len(part)
    assert lengths(scheduler.prefill()) == {1: 3, 2: 2}


def test_only_requests_whose_prompt_is_through_decode() -> None:
    scheduler = Scheduler(slots=2, chunk=4)
    through, unfed = request(0, 3), request(1, 3)
    for one in (through, unfed):
        scheduler.submit(one)
    scheduler.admit()
    through.cached = 3
    through.output.append(42)
    assert scheduler.decode() == {through: [42]}
    assert lengths(scheduler.prefill()) == {1: 3}


def test_a_slot_is_given_again_after_its_release() -> None:
    scheduler = Scheduler(slots=1, chunk=4)
    first, second = request(0, 1), request(1, 1)
    scheduler.submit(first)
    scheduler.submit(second)
    assert scheduler.admit() == [first]
    assert scheduler.admit() == []
    assert scheduler.release(first)
    assert scheduler.admit() == [second]
    assert scheduler.release(second)
    assert scheduler.idle


def test_releasing_a_waiting_request_frees_no_slot() -> None:
    scheduler = Scheduler(slots=1, chunk=4)
    one = request(0, 1)
    scheduler.submit(one)
    assert not scheduler.release(one)
    assert scheduler.idle
