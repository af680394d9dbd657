from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlcx.errors import UsageError
from mlcx.scons.memory import Memory, parse

from .project import PATIENCE, Project, wait_for


def never() -> bool:
    return False


def run(memory: Memory, needs: list[int], work: Callable[[int], object]) -> None:
    def step(need: int) -> None:
        with memory.holding(need):
            work(need)

    threads = [threading.Thread(target=step, args=(need,)) for need in needs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_what_runs_at_a_time_never_needs_more_than_there_is() -> None:
    guard, held, most, alone = threading.Lock(), [], [0], []

    def work(need: int) -> None:
        with guard:
            held.append(need)
            most[0] = max(most[0], sum(held) if len(held) > 1 else 0)
            if need > 100:
                alone.append(len(held))
        time.sleep(0.001)
        with guard:
            assert need <= 100 or held == [need]
            held.remove(need)

    needs = random.Random(7).choices((1, 30, 60, 99, 150), k=200)
    run(Memory(lambda: 100.0, never), needs, work)
    assert most[0] <= 100
    assert alone == [1] * needs.count(150)


def test_what_fits_runs_at_the_same_time() -> None:
    met = threading.Barrier(3, timeout=PATIENCE)
    run(Memory(lambda: 100.0, never), [50, 30, 20], lambda _: met.wait())
    assert not met.broken


def test_a_large_step_is_not_passed_by_small_ones_for_ever() -> None:
    memory, order = Memory(lambda: 100.0, never), []
    first = threading.Event()

    def hold() -> None:
        with memory.holding(60):
            first.wait(PATIENCE)

    def enter(need: int) -> None:
        with memory.holding(need):
            order.append(need)

    threads = [threading.Thread(target=hold)]
    threads += [threading.Thread(target=enter, args=(need,)) for need in (90, 10, 20)]
    threads[0].start()
    wait_for(lambda: memory._running == 1)
    for count, thread in enumerate(threads[1:], 1):
        thread.start()
        wait_for(lambda: len(memory._waiting) == count)  # noqa: B023 (called at once)
    assert order == []
    first.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(order) == [10, 20, 90]
    assert order.index(90) < order.index(20)  # for which there was room before
    assert memory._held == memory._running == 0


def test_an_interrupted_build_waits_for_no_memory() -> None:
    stopped = threading.Event()
    memory = Memory(lambda: 100.0, stopped.is_set)
    with memory.holding(80):
        thread = threading.Thread(target=lambda: run(memory, [80, 80], str))
        thread.start()
        wait_for(lambda: len(memory._waiting) == 2)
        stopped.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_who_waits_long_says_so_once() -> None:
    memory, said = Memory(lambda: 100.0, never, patience=0), []

    def wait() -> None:
        with memory.holding(50, lambda held, limit: said.append((held, limit))):
            pass

    thread = threading.Thread(target=wait)
    with memory.holding(80):
        thread.start()
        wait_for(lambda: bool(said))
        time.sleep(0.6)
    thread.join(PATIENCE)
    assert said == [(80, 100.0)]


def test_nobody_waits_where_nobody_knows_what_there_is() -> None:
    memory = Memory(lambda: None, never)
    with memory.holding(1 << 60), memory.holding(1 << 60):
        pass


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", None),
        ("none", float("inf")),
        ("8G", 8e9),
        ("1.5 GB", 1.5e9),
        ("512MiB", 512 << 20),
        ("100000", 1e5),
    ],
)
def test_sizes_are_read(text: str, size: float | None) -> None:
    assert parse(text) == size


@pytest.mark.parametrize("text", ["0", "-1G", "8 pounds", "G", "1e9", "8X", "all"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="MEMORY: expected a size such as 8G"):
        parse(text)


@pytest.mark.slow
def test_steps_that_hold_memory_never_hold_more_than_is_allowed(
    project: Project,
) -> None:
    """Every step notes, while it holds 300 MB, that it does."""
    names = [f"m{number}" for number in range(6)]
    for name in names:
        project.add_checkpoint(name)
    project.write_spec("mlc-package-config.json", *names)
    script = project.control / "holds.py"
    notes = project.control / "notes"
    script.write_text(
        "import os, runpy, sys, time\n"
        "def note(change):\n"
        f"    with open({str(notes)!r}, 'a') as file:\n"
        "        file.write(change)\n"
        "if sys.argv[1] == 'compile':\n"
        "    held = b'x' * (300 << 20)\n"
        "    note('+')\n"
        "    time.sleep(0.5)\n"
        "    note('-')\n"
        "    del held\n"
        f"sys.argv[0] = {sys.argv[0]!r}\n"
        f"runpy.run_path({str(Path(__file__).with_name('verbs.py'))!r}, "
        "run_name='__main__')\n"
    )
    project.use_command(sys.executable, str(script))
    project.build("-j8", "MEMORY=700M")  # 384 MiB each and more are expected: one
    assert _most(notes.read_text()) == 1
    notes.unlink()
    project.build("-j8", "MEMORY=800M", MLC_JIT_POLICY="REDO")  # it was measured
    assert _most(notes.read_text()) == 2
    notes.unlink()
    project.build("-j8", "MEMORY=none", MLC_JIT_POLICY="REDO")
    assert _most(notes.read_text()) > 2


def _most(notes: str) -> int:
    running = [notes[:end].count("+") - notes[:end].count("-") for end in range(99)]
    return max(running)
