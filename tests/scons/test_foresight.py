"""What a plan says of each step is what the next build does with it."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlcx.__main__ import main

from .project import Project

SPEC = "mlc-package-config.json"
CONFIG_TWO = "build/two/config/q4f16_1/compile-config.json"
DONE = {
    "up to date": {"up to date"},
    "in cache": {"cached"},
    "to build": {"built"},
    "to build or take": {"built", "cached"},
    "perhaps": {"built", "cached", "up to date"},
    "refused": {"failed"},
}
"""What a build may do with a step, by what was said of it."""


def run(*words: str) -> str:
    """Return what a verb prints, run in this process."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main(words) == 0
    return printed.getvalue()


class Planned:
    """A project of which is planned, in this process, what is then built."""

    def __init__(self, project: Project, patch: pytest.MonkeyPatch) -> None:
        self.project, self.set = project, patch.setenv
        patch.chdir(project.root)
        for name, value in project.environ.items():
            self.set(name, value)
        self.set("MLCX_CACHE_DIR", str(project.control / "cache"))

    def plan(self) -> dict[str, Any]:
        return dict(json.loads(run("plan", SPEC, "--json")))

    def states(self) -> dict[str, str]:
        return {row["target"]: row["state"] for row in self.plan()["steps"]}

    def build(self, said: dict[str, str]) -> Counter[str]:
        """Build, hold what was done against what was ``said``, and count the latter."""
        self.project.scons("-j2")
        done = {name: row["status"] for name, row in self.project.report().items()}
        assert said.keys() == done.keys()
        wrong = {
            name: (said[name], done[name])
            for name in said
            if done[name] not in DONE[said[name]]
        }
        assert not wrong
        return Counter(said.values())


@pytest.fixture
def planned(project: Project, monkeypatch: pytest.MonkeyPatch) -> Planned:
    return Planned(project, monkeypatch)


@pytest.fixture
def standing(built: Project, monkeypatch: pytest.MonkeyPatch) -> Planned:
    """Return what is up to date, and in no cache."""
    return Planned(built, monkeypatch)


def test_each_plan_comes_true(planned: Planned) -> None:
    project = planned.project
    said = planned.states()
    assert said["build/one/model/tensor-cache.json"] == "to build"
    assert said["dist/lib/one.so"] == "to build or take"
    assert planned.build(said) == {"to build": 7, "to build or take": 4}
    # Below a file that is made again, what depends on it is open; the rest is not.
    project.edit("models/one/generation_config.json", temperature=0.9)
    (project.root / "dist/lib/two.so").unlink()
    (project.root / CONFIG_TWO).unlink()
    (project.root / "build/two/model/params_shard_1.bin").unlink()
    said = planned.states()
    assert said["build/one/model/mlc-chat-config.json"] == "to build"
    assert said["build/one/model/tensor-cache.json"] == "up to date"
    assert said["dist/lib/one.so"] == "perhaps"
    assert said[CONFIG_TWO] == said["dist/lib/two.so"] == "in cache"
    assert planned.build(said) == {
        "up to date": 2,
        "in cache": 2,
        "to build": 2,
        "perhaps": 5,
    }


def test_what_a_cache_has_is_known_before_it_is_there(planned: Planned) -> None:
    """Known is also that nothing changes by it."""
    planned.project.build("dist/lib/two.so")
    (planned.project.root / CONFIG_TWO).unlink()
    said = planned.states()
    assert said[CONFIG_TWO] == "in cache"
    assert said["dist/lib/two.so"] == "up to date"


def test_a_fresh_clone_knows_all_that_a_full_cache_has(planned: Planned) -> None:
    """Each step waits for one before it, so that one gap would make the rest open."""
    project = planned.project
    project.build("-j2")
    for name in ("dist", "build"):
        shutil.rmtree(project.root / name)
    (project.root / ".sconsign.dblite").unlink()
    steps = {row["target"]: row for row in planned.plan()["steps"]}
    said = {target: row["state"] for target, row in steps.items()}
    taken = {row["verb"] for row in steps.values() if row["state"] == "in cache"}
    assert taken == {"gen_config", "normalize", "compile"}
    project.forget_calls()
    assert planned.build(said) == {"in cache": 6, "to build": 5}
    verbs = {line.split()[0] for line in project.calls()}
    assert verbs == {"convert_weight", "bundle", "app_config"}


def test_a_cache_elsewhere_is_told_from_the_own_one(
    planned: Planned, tmp_path: Path
) -> None:
    pytest.importorskip("obstore")
    url = (tmp_path / "far").as_uri()
    (tmp_path / "far").mkdir()
    planned.set("MLCX_CACHE_URL", url)
    planned.project.build(CONFIG_TWO)
    (planned.project.root / CONFIG_TWO).unlink()
    planned.set("MLCX_CACHE_DIR", str(tmp_path / "empty"))
    steps = {row["target"]: row for row in planned.plan()["steps"]}
    row = steps[CONFIG_TWO]
    assert (row["state"], row["remote"]) == ("in cache", True)
    assert row["level"].rstrip("/") == url
    assert row["bytes"] > 0


def test_what_a_cache_may_still_have_is_not_called_refused(planned: Planned) -> None:
    planned.set("MLC_JIT_POLICY", "READONLY")

    def said() -> set[tuple[str, str]]:
        steps = planned.plan()["steps"]
        return {(e["state"], e["since"]) for e in steps if e["verb"] == "compile"}

    assert said() == {("perhaps", "unless cached: MLC_JIT_POLICY is READONLY")}
    planned.set("MLCX_CACHE_DIR", "none")
    assert said() == {("refused", "MLC_JIT_POLICY is READONLY")}


def test_policies_and_lost_signatures_are_foreseen(standing: Planned) -> None:
    assert set(standing.states().values()) == {"up to date"}
    standing.set("MLC_JIT_POLICY", "REDO")
    said = standing.states()
    assert said["dist/lib/one.so"] == "to build"
    assert standing.build(said) == {"to build": 2, "perhaps": 1, "up to date": 8}
    standing.set("MLC_JIT_POLICY", "OFF")
    steps = {row["target"]: row for row in standing.plan()["steps"]}
    row = steps["dist/lib/one.so"]
    assert (row["state"], row["since"]) == ("refused", "MLC_JIT_POLICY is OFF")
    standing.set("MLC_JIT_POLICY", "READONLY")
    assert set(standing.states().values()) == {"up to date"}
    standing.set("MLCX_CACHE_DIR", "none")
    (standing.project.root / "dist/lib/one.so").unlink()
    assert standing.states()["dist/lib/one.so"] == "refused"
    standing.set("MLC_JIT_POLICY", "ON")
    (standing.project.root / ".sconsign.dblite").unlink()
    assert "up to date" not in standing.states().values()


@pytest.mark.slow
def test_of_equal_steps_any_may_be_the_one_that_is_built(planned: Planned) -> None:
    project = planned.project
    shutil.rmtree(project.root / "models/two")
    shutil.copytree(project.root / "models/one", project.root / "models/two")
    project.build("-j2")
    overrides = {"prefill_chunk_size": 32}
    project.write_spec(SPEC, "one", "two", overrides=overrides)
    said = planned.states()
    assert Counter(said.values()) == {
        "up to date": 6,
        "to build or take": 2,
        "to build": 1,
        "perhaps": 2,
    }
    planned.build(said)


@pytest.mark.slow
def test_a_plan_comes_true_after_each_of_many_edits(planned: Planned) -> None:
    project, root = planned.project, planned.project.root
    planned.build(planned.states())
    touched = root / "models/one/model.safetensors"
    config = json.loads((root / "models/one/config.json").read_text())
    edits: dict[str, Callable[[], object]] = {
        "nothing": lambda: None,
        "a size": lambda: project.edit("models/one/config.json", hidden_size=16),
        "the size back": lambda: project.edit("models/one/config.json", **config),
        "weights": lambda: (root / "models/two/model.safetensors").write_bytes(b"x"),
        "a tokenizer": lambda: project.edit("models/two/tokenizer.json", vocab=["c"]),
        "another quantization": lambda: project.write_spec(
            SPEC, "one", "two", quantization="q4f32_1"
        ),
        "one model": lambda: project.write_spec(SPEC, "one"),
        "an override": lambda: project.write_spec(
            SPEC, "one", overrides={"prefill_chunk_size": 32}
        ),
        "two again": lambda: project.write_spec(SPEC, "one", "two"),
        "a touch": touched.touch,
        "no dist": lambda: shutil.rmtree(root / "dist"),
        "no build": lambda: shutil.rmtree(root / "build"),
        "no records": lambda: shutil.rmtree(root / "build/inputs"),
        "a damaged index": lambda: (
            root / "build/one/model/tensor-cache.json"
        ).write_text("{"),
    }
    for edit in edits.values():
        edit()
        planned.build(planned.states())


def tree(root: Path) -> dict[str, tuple[float, bytes]]:
    files = (path for path in root.rglob("*") if path.is_file())
    found = (path for path in files if "__pycache__" not in path.parts)
    return {str(path): (path.stat().st_mtime, path.read_bytes()) for path in found}


def test_a_dry_run_prints_the_same_table_and_writes_nothing(planned: Planned) -> None:
    project = planned.project
    before = tree(project.root)
    dry = project.scons("-n", "-Q").stdout
    assert dry == run("plan", SPEC)
    assert dry.splitlines()[-1] == "mlcx: 7 to build, 4 to build or take"
    one = project.scons("-n", "-Q", "VERBOSE=1", "dist/lib/one.so").stdout.splitlines()
    assert [line.split()[0] for line in one if "verbs.py" not in line] == [
        "step",
        "gen_config",
        "normalize",
        "compile",
        "mlcx:",
    ]
    assert len(one) == 8
    assert project.scons("-n", "-s").stdout == ""
    assert tree(project.root) == before
    assert not project.calls()


def test_times_and_sizes_are_those_of_the_last_build(standing: Planned) -> None:
    report = standing.project.report()
    row = report["dist/lib/one.so"]
    # What is forced is built again, however old it is.
    standing.set("MLC_JIT_POLICY", "REDO")
    plan = standing.plan()
    steps = {each["target"]: each for each in plan["steps"]}
    found = steps["dist/lib/one.so"]
    assert (found["bytes"], found["seconds"]) == (row["bytes"], row["seconds"])
    assert steps["build/one/model/mlc-chat-config.json"]["seconds"] is None
    made = ("dist/lib/one.so", "dist/lib/two.so", "dist/bundle/mlc-app-config.json")
    seconds = sum(float(str(report[name]["seconds"])) for name in made)
    assert plan["totals"]["seconds"] == pytest.approx(seconds)
    assert plan["totals"]["unknown_seconds"] == 0
