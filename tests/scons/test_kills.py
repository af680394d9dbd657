"""Builds that are killed at random moments, again and again: nothing is harmed.

``pytest -n 0 -m slow -s tests/scons/test_kills.py`` does it with libraries that are
really compiled, and prints what happened. ``KILLS`` and ``SEED`` in the environment
say how often, and which moments; ``SPAN`` within how many seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from .project import REPOSITORY, Project, wait_for, write_json

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

KINDS = ("all", "scons", "step")
"""What is killed: SCons and all its steps, SCons alone, or one process of a step."""


class Killed:
    """A project whose builds are killed, at the moments of a seed."""

    def __init__(self, project: Project, seed: int, span: float, *args: str) -> None:
        self.project = project
        self.random = random.Random(seed)
        self.span = span
        self.args = args
        self.happened: Counter[str] = Counter()
        self._build: subprocess.Popen[str] | None = None
        self.temporary = project.control / "tmp"
        self.temporary.mkdir()

    def start(self) -> subprocess.Popen[str]:
        return self.project.start(*self.args, TMPDIR=str(self.temporary))

    def finish(self) -> None:
        """Build to the end."""
        if self._build is not None:
            self._build.communicate()
        process = self.start()
        out, err = process.communicate()
        assert process.returncode == 0, out + err
        assert "Traceback" not in out + err

    def kill_once(self) -> None:
        """Kill a build at a moment; one that ends before is followed by another."""
        kind = self.random.choice(KINDS)
        moment = self.random.uniform(0, self.span)
        while True:
            build = self._build = self._build or self.start()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._ended(build, *build.communicate(timeout=moment))
                continue
            if self._kill(kind, build):
                break
        self.happened[f"killed {kind}"] += 1
        if kind != "step":  # after which the build goes on until it fails
            assert "Traceback" not in "".join(build.communicate())
            self._build = None

    def _ended(self, build: subprocess.Popen[str], out: str, err: str) -> None:
        self._build = None
        assert "Traceback" not in out + err
        if build.returncode:
            assert build.returncode == 2
            assert "\nmlcx: " in "\n" + err
            self.happened["failure reported"] += 1
            return
        self.happened["complete, begun anew"] += 1
        assert self.project.scons("-c", *self.args).returncode == 0
        assert not (self.project.root / "dist").exists()

    def _kill(self, kind: str, process: subprocess.Popen[str]) -> bool:
        """Kill what ``kind`` says; False: the build was over before."""
        chosen = [process.pid]
        while kind == "step" and process.poll() is None:
            steps = sorted(set(self.running()) - {process.pid})
            if steps:
                chosen = [self.random.choice(steps)]
                break
            time.sleep(0.01)
        if process.poll() is not None:
            return False
        for each in self.running() if kind == "all" else chosen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        return True

    def running(self) -> list[int]:
        """Return the processes of all builds of the project."""
        return processes(self.project)

    def leftovers(self) -> list[str]:
        """Return the temporary files that there are."""
        hidden = [*self.project.root.rglob(".*"), *self.temporary.iterdir()]
        return [str(each) for each in hidden if each.name != ".sconsign.dblite"]


def processes(project: Project) -> list[int]:
    """Return the processes of all builds of ``project``."""
    mark = f"STAND_IN={project.control}\0".encode()
    return [int(each.name) for each in Path("/proc").glob("[0-9]*") if _has(each, mark)]


def _has(process: Path, mark: bytes) -> bool:
    try:
        return mark in (process / "environ").read_bytes()
    except OSError:  # it has ended, or is another user's
        return False


def products(project: Project) -> dict[str, bytes]:
    return {
        name: data
        for name, data in project.files().items()
        if "valid-specs" not in name
    }


def check(killed: Killed, clean: dict[str, bytes]) -> None:
    """Let one last build end, and hold all against a build that nobody killed."""
    killed.finish()
    assert products(killed.project) == clean
    assert killed.leftovers() == []
    wait_for(lambda: killed.running() == [])
    killed.project.forget_calls()
    killed.finish()
    assert killed.project.calls() == []


def test_a_few_kills_harm_nothing(built: Project) -> None:
    clean = products(built)
    assert built.scons("-c").returncode == 0
    killed = Killed(built, 3, 0.8, "-j3")
    for _ in range(3):
        killed.kill_once()
    check(killed, clean)


def test_what_a_kill_left_goes_with_a_build_that_has_nothing_to_do(
    built: Project,
) -> None:
    left = [
        "dist/lib/.one.so.dcf320b6",
        "dist/.report.json.00000000",
        "dist/bundle/one/.params_shard_9.bin.12345678",
        "build/one/model/.tokenizer.json.12345678",
        "build/inputs/dist/lib/.two.so.json.87654321",
    ]
    own = ["dist/lib/.three.so.dcf320b6", "dist/lib/.one.so.swp"]
    for name in (*left, *own):
        (built.root / name).touch()
    assert built.build() == []
    assert [name for name in left if (built.root / name).exists()] == []
    assert all((built.root / name).exists() for name in own)


@pytest.fixture
def deliveries(tmp_path: Path, sources: Path) -> Iterator[list[Project]]:
    """Return two equal projects: twelve libraries, and an app with its weights."""
    made = []
    for name in ("clean", "killed"):
        project = Project(tmp_path / name, tmp_path / f"{name}-control", sources)
        project.create()
        project.use_command(sys.executable, "-m", "mlcx")
        shutil.rmtree(project.root / "models")
        write_delivery(project.root)
        made.append(project)
    yield made
    for project in made:
        project.end()


def write_delivery(root: Path) -> None:
    tiny = {"context_window_size": 64, "prefill_chunk_size": 32, "max_batch_size": 2}
    tasks = []
    for name in ("llama", "gpt2", "gemma3_text"):
        (root / "models" / name).mkdir(parents=True)
        shutil.copy(
            REPOSITORY / f"tests/tiny/{name}.json",
            root / "models" / name / "config.json",
        )
        tasks.append({"model_id": name, "model": f"models/{name}"})
    options = [{"device": name, "overrides": tiny} for name in ("cpu", "opencl")]
    delivery = {"tasks": tasks, "default_compile_options": options}
    delivery |= {
        "default_quantization": ["q4f16_1", "q0f16"],
        "binary_libs_dir": "libs",
    }
    write_json(root / "delivery.json", delivery)
    spec = json.loads((REPOSITORY / "specs/mlc-package-config.json").read_text())
    del spec["$schema"]
    spec["model_list"][0]["model"] = str(REPOSITORY / "specs/sample-model")
    write_json(root / "mlc-package-config.json", spec)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_fifty_kills_of_a_real_delivery_harm_nothing(
    deliveries: list[Project], capsys: pytest.CaptureFixture[str]
) -> None:
    clean, project = deliveries
    begin = time.monotonic()
    specs = ("delivery.json", "mlc-package-config.json")
    out, err = (done := clean.start("-j2", *specs)).communicate(timeout=1200)
    assert done.returncode == 0, out + err
    took = time.monotonic() - begin
    seed = int(os.environ.get("SEED", "1"))
    span = float(os.environ.get("SPAN", took / 4))
    killed = Killed(project, seed, span, "-j2", *specs)
    for number in range(int(os.environ.get("KILLS", "50"))):
        killed.kill_once()
        with capsys.disabled():
            seconds = time.monotonic() - begin
            sys.stdout.write(f"{seconds:.0f} s, {number + 1}: {killed.happened}\n")
            sys.stdout.flush()
    check(killed, products(clean))
