"""Steps keep to the lanes, and one that waits lets others work."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from SCons.Taskmaster.Job import NewParallel

from mlcx.scons.lanes import Lanes, replaced

from .project import PATIENCE, Project, wait_for
from .test_failures import hanging, kill


def test_a_lane_is_the_lowest_that_is_free() -> None:
    lanes = Lanes()
    with lanes.one() as first:
        with lanes.one() as second, lanes.one() as third:
            assert (first, second, third) == (0, 1, 2)
        with lanes.one() as again:
            assert again == 1


def test_no_more_lanes_are_taken_than_there_are() -> None:
    lanes, entered = Lanes(lambda: 1), threading.Event()

    def enter() -> None:
        with lanes.one() as lane:
            assert lane == 0
            entered.set()

    with lanes.one():
        waits = threading.Thread(target=enter, daemon=True)
        waits.start()
        assert not entered.wait(0.1)
    assert entered.wait(PATIENCE)
    waits.join(PATIENCE)


def test_nobody_waits_for_a_lane_of_an_interrupted_build() -> None:
    lanes = Lanes(lambda: 1, lambda: True)
    with lanes.one() as first, lanes.one() as second:
        assert (first, second) == (0, 1)


class Tasks:
    """What SCons' job loop asks of a taskmaster, with tasks that are functions."""

    trace = None

    def __init__(self, *tasks: Callable[[], None]) -> None:
        self._tasks = list(tasks)
        self.failed: list[str] = []

    def next_task(self) -> SimpleNamespace | None:
        if not self._tasks:
            return None
        execute = self._tasks.pop(0)
        nothing = dict.fromkeys(
            ("prepare", "executed", "postprocess", "exception_set"), lambda: None
        )
        return SimpleNamespace(
            **nothing,
            execute=execute,
            needs_execute=lambda: True,
            failed=lambda: self.failed.append(execute.__name__),
        )

    def cleanup(self) -> None:
        pass


@pytest.mark.parametrize("jobs", [2, 3])
def test_others_work_in_the_place_of_one_that_waits(jobs: int) -> None:
    met, done = threading.Barrier(jobs), threading.Event()

    def wait() -> None:
        with replaced():
            assert done.wait(PATIENCE)

    def meet() -> None:
        met.wait(PATIENCE)  # for which all of them must run at one time
        done.set()

    tasks = Tasks(wait, *[meet] * jobs)
    loop = NewParallel(tasks, jobs, 256)
    loop.start()
    assert tasks.failed == []
    assert done.is_set()
    assert loop.max_workers == jobs


def test_a_step_that_waits_alone_waits_in_its_own_place() -> None:
    ran: list[int] = []

    def wait() -> None:
        with replaced():
            ran.append(1)

    NewParallel(Tasks(wait), 1, 256).start()
    assert ran == [1]


@pytest.mark.slow
def test_half_of_a_build_is_not_idle_while_another_makes_what_it_needs(
    project: Project, tmp_path: Path
) -> None:
    twin = Project(tmp_path / "twin", tmp_path / "twin-control", project.sources)
    shutil.copytree(project.root, twin.root)
    twin.control.mkdir()
    shared = {"MLCX_CACHE_DIR": str(tmp_path / "cache")}
    config = "build/one/config/q4f16_1/compile-config.json"
    caches = [f"build/{name}/model/tensor-cache.json" for name in ("one", "two")]
    configs = [f"build/{name}/model/mlc-chat-config.json" for name in ("one", "two")]
    project.build(config, *configs, **shared)
    twin.order("hang", "one.so")
    first = twin.start("dist/lib/one.so", **shared)
    step = hanging(twin)
    project.order("slow", *caches, "model")
    second = project.start("-j2", "dist/lib/one.so", *caches, **shared)
    journal = project.root / "build/journal.jsonl"

    def rows() -> dict[str, dict[str, float]]:
        lines = map(json.loads, journal.read_text().splitlines())
        return {row["target"]: row for row in lines}

    wait_for(lambda: rows().keys() >= set(caches))
    assert "dist/lib/one.so" not in rows()
    one, two = (rows()[name] for name in caches)
    assert {one["lane"], two["lane"]} == {0, 1}
    assert abs(one["started"] - two["started"]) < min(one["seconds"], two["seconds"])
    kill(first, step)
    twin.end()
    out, err = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0, out + err
    assert "dist/lib/one.so waits for an equal one that is being made" in out
