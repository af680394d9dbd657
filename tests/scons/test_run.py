"""SCons in the process of a verb: killed, interrupted and failing with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlcx.scons.run import run_beside

from .project import PATIENCE, REPOSITORY, Project, wait_for, write_json
from .test_kills import processes
from .test_verbs import start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

DELIVER = ("deliver", "--spec", "delivery.json", "-j2")


@pytest.fixture
def delivery(project: Project) -> Iterator[Project]:
    """Return a project with a library that takes seconds to compile."""
    model = project.root / "models/tiny"
    model.mkdir()
    shutil.copy(REPOSITORY / "tests/tiny/llama.json", model / "config.json")
    task = {"model_id": "tiny", "model": "models/tiny"}
    spec = {"tasks": [task], "default_compile_options": [{"device": "cpu"}]}
    spec |= {"default_quantization": ["q4f16_1"], "binary_libs_dir": "libs"}
    write_json(project.root / "delivery.json", spec)
    yield project
    for each in processes(project):
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def steps(project: Project) -> list[int]:
    """Return the processes of ``project`` that do a step's work."""
    return [each for each in processes(project) if {b"mlcx", b"-o"} <= words(each)]


def words(process: int) -> set[bytes]:
    try:
        return {*Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")}
    except OSError:
        return set()


def test_a_verb_that_is_killed_leaves_nothing(delivery: Project) -> None:
    build = start(delivery, *DELIVER)
    wait_for(lambda: bool(steps(delivery)))
    build.kill()
    build.wait()
    wait_for(lambda: processes(delivery) == [])
    assert not list((delivery.root / "dist").rglob("*.so"))


@pytest.mark.slow
def test_one_that_builds_twice_and_is_killed_leaves_nothing(delivery: Project) -> None:
    build = start(delivery, *DELIVER, "--check-reproducible")
    wait_for(lambda: bool(steps(delivery)))
    build.kill()
    build.wait()
    wait_for(lambda: processes(delivery) == [])
    assert not list(delivery.root.glob("mlcx-reproducible-*/**/*.so"))


def test_a_verb_that_is_interrupted_ends_its_steps_and_exits_with_130(
    delivery: Project,
) -> None:
    build = start(delivery, *DELIVER)
    wait_for(lambda: bool(steps(delivery)))
    build.send_signal(signal.SIGINT)
    out, err = build.communicate(timeout=PATIENCE)
    assert build.returncode == 130
    assert "Build interrupted" in err
    assert "Traceback" not in out + err
    assert " interrupted" in out.splitlines()[-1]
    assert processes(delivery) == []


def test_what_scons_refuses_exits_with_2(delivery: Project) -> None:
    (delivery.root / "dist").write_text("a file")
    build = start(delivery, *DELIVER)
    _, err = build.communicate(timeout=PATIENCE)
    assert build.returncode == 2
    assert err == "mlcx: OUTPUT=dist: expected a folder, found a file\n"


def test_scons_beside_a_program_says_how_it_ended(tmp_path: Path) -> None:
    around = {**os.environ, "MLC_LLM_HOME": str(tmp_path)}
    wrong = ["-C", str(tmp_path), "SPEC=none.json"]
    assert run_beside("SConstruct", wrong, around, subprocess.DEVNULL) == 2
