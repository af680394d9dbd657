from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mlcx.scons.executor import LocalExecutor, tail, warnings

from .project import PATIENCE, is_running, wait_for


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_all_output_goes_to_the_log_below_the_command(tmp_path: Path) -> None:
    text = "import sys; print('out', flush=True); print('err', file=sys.stderr)"
    log = tmp_path / "new" / "log"
    executor = LocalExecutor(tmp_path / "tmp")
    assert executor.run(python(text), os.environ, log).status == 0
    first, *others = log.read_text().splitlines()
    assert first.startswith("$ ")
    assert others == ["out", "err"]


@pytest.mark.parametrize("around", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "latin-1"}])
def test_a_log_is_utf_8_in_any_locale(tmp_path: Path, around: dict[str, str]) -> None:
    text = r"print('mlcx: warning: caf\xe9 \u2192 \udcff')"
    environ, log = {**os.environ, **around, "PYTHONUTF8": "0"}, tmp_path / "log"
    assert LocalExecutor(tmp_path / "tmp").run(python(text), environ, log).status == 0
    assert log.read_bytes().endswith("café → ".encode() + b"\xff\n")
    assert warnings(log) == ["warning: café → \ufffd"]


def test_the_exit_status_is_returned(tmp_path: Path) -> None:
    run = LocalExecutor(tmp_path / "tmp").run
    assert run(python("raise SystemExit(7)"), os.environ, tmp_path / "log").status == 7


def test_a_step_cannot_wait_for_the_keyboard(tmp_path: Path) -> None:
    text = "import sys; raise SystemExit(len(sys.stdin.read()))"
    run = LocalExecutor(tmp_path / "tmp").run
    assert run(python(text), os.environ, tmp_path / "log").status == 0


def test_what_a_step_leaves_in_its_folder_is_gone(tmp_path: Path) -> None:
    text = "import tempfile; print(tempfile.mkdtemp())"
    LocalExecutor(tmp_path / "tmp").run(python(text), os.environ, tmp_path / "log")
    left = (tmp_path / "log").read_text().splitlines()[1]
    assert Path(left).is_relative_to(tmp_path / "tmp")
    assert not (tmp_path / "tmp").exists()


def test_what_a_killed_step_had_started_is_killed_too(tmp_path: Path) -> None:
    child = "import time; time.sleep(600)"
    text = (
        "import os, signal, subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "print(child.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    log = tmp_path / "log"
    outcome = LocalExecutor(tmp_path / "tmp").run(python(text), os.environ, log)
    assert outcome.status == -signal.SIGKILL
    process = int(log.read_text().splitlines()[-1])
    wait_for(lambda: not is_running(process))


def test_stopping_ends_what_runs_and_starts_nothing(tmp_path: Path) -> None:
    executor = LocalExecutor(tmp_path / "tmp")
    statuses: list[int] = []

    def step() -> None:
        text = "import time; print('begun', flush=True); time.sleep(600)"
        outcome = executor.run(python(text), os.environ, tmp_path / "log")
        statuses.append(outcome.status)

    thread = threading.Thread(target=step)
    thread.start()
    log = tmp_path / "log"
    wait_for(lambda: log.exists() and log.read_text().endswith("begun\n"))
    executor.stop()
    thread.join(PATIENCE)
    assert executor.stopped
    assert statuses
    assert statuses[0] != 0
    marker = tmp_path / "marker"
    text = f"open({str(marker)!r}, 'w')"
    assert executor.run(python(text), os.environ, tmp_path / "log").status != 0
    assert not marker.exists()


def test_only_what_steps_left_is_removed_of_a_folder_for_temporary_files(
    tmp_path: Path,
) -> None:
    scratch = tmp_path / "build/tmp"
    executor = LocalExecutor(scratch)
    theirs = scratch / "compileJava/sources"
    theirs.mkdir(parents=True)
    (scratch / "mlcx-step-killed").mkdir()
    executor.clear()
    assert [*scratch.iterdir()] == [theirs.parent]
    theirs.rmdir()
    theirs.parent.rmdir()
    executor.clear()
    assert not scratch.exists()


def test_the_tail_of_a_log_leaves_out_blank_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(f"line {number}\n" for number in range(5000)))
    assert tail(log, 2) == ["line 4998", "line 4999"]
    log.write_bytes(b"\xff broken \n")
    assert tail(log, 5) == ["\ufffd broken"]
    log.write_text("")
    assert tail(log, 5) == []


def test_the_most_memory_of_a_step_is_known_also_of_its_children(
    tmp_path: Path,
) -> None:
    child = "held = b'x' * (200 << 20)"
    step = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    text = (
        "import os, pathlib, mlcx.scons.executor as executor\n"
        f"log = pathlib.Path({str(tmp_path / 'log')!r})\n"
        "made = executor.LocalExecutor(log.with_name('tmp'))\n"
        f"outcome = made.run({python(step)!r}, os.environ, log)\n"
        "print(outcome.peak_memory)"
    )
    # In a process of its own: the one that runs the tests may hold more than a step.
    ran = subprocess.run(python(text), check=True, capture_output=True, text=True)
    assert 200 << 20 < int(ran.stdout) < 300 << 20
