"""Builds that fail, are interrupted or killed, or run at the same time."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlcx.scons.signs import signed

from .project import PATIENCE, Project, is_running, wait_for, write_json

ONE = "dist/lib/one.so"


def hanging(project: Project) -> int:
    """Wait until a step hangs, and return its process."""
    path = project.control / "hanging"
    wait_for(path.exists)
    process = int(path.read_text())
    path.unlink()
    return process


def kill(process: subprocess.Popen[str], step: int) -> None:
    """Kill a build alone, and wait until its step has ended by itself."""
    process.kill()
    process.wait()
    wait_for(lambda: not is_running(step))


def test_a_failure_names_and_quotes_its_log_and_the_command(project: Project) -> None:
    project.order("fail", ONE)
    done = project.scons(ONE)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    log = "build/log/dist/lib/one.so.log"
    assert lines[0] == f"mlcx: compile {ONE} failed with status 1; the end of {log}:"
    assert lines[1:13] == [
        *(f"    line {number}" for number in range(89, 100)),
        "    the reason of the failure",
    ]
    assert "Traceback" not in done.stderr
    project.forget_calls()
    again = subprocess.run(
        lines[14].strip(),
        shell=True,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **project.environ},
    )
    assert again.returncode == 1
    assert again.stdout.endswith("the reason of the failure\n")
    assert project.calls() == [f"compile {ONE}"]


def test_an_app_is_told_of_no_model_whose_weights_failed(project: Project) -> None:
    app = project.root / "dist/bundle/mlc-app-config.json"
    project.order("fail", "two/model/tensor-cache.json")
    assert project.scons("-k", "-j2").returncode == 2
    assert project.report()["dist/bundle/mlc-app-config.json"]["status"] == "not built"
    assert not app.exists()
    project.order("fail")
    assert project.scons(str(app)).returncode == 0
    assert (project.root / "dist/bundle/two/tensor-cache.json").exists()
    assert "dist/bundle/two/tensor-cache.json" in project.report()


def test_the_others_go_on_after_a_failure(project: Project) -> None:
    project.order("fail", ONE)
    done = project.scons("-k", "-j2")
    assert done.returncode == 2
    report = project.report()
    assert report[ONE]["status"] == "failed"
    assert report[ONE]["error"].endswith("\nthe reason of the failure")
    assert report[ONE]["model"] == "one"
    assert report[ONE]["device"] == "cpu"
    app = report.pop("dist/bundle/mlc-app-config.json")
    assert app["status"] == "not built"  # it says what memory the library takes
    assert {row["status"] for name, row in report.items() if name != ONE} == {"built"}
    assert not (project.root / ONE).exists()
    assert (
        "mlcx: failed: compile dist/lib/one.so (one, q4f16_1, cpu):"
        " build/log/dist/lib/one.so.log\n"
        "mlcx: 9 built, 1 failed, 1 not built, see dist/report.json\n"
    ) in done.stdout


def test_what_waits_for_a_failure_is_not_built(project: Project) -> None:
    project.order("fail", "build/one/model")
    done = project.scons("-k")
    assert done.returncode == 2
    status = {name: row["status"] for name, row in project.report().items()}
    assert status["build/one/model/mlc-chat-config.json"] == "failed"
    assert status["build/one/model/tensor-cache.json"] == "failed"
    assert status[ONE] == "not built"
    assert status["dist/bundle/one/tensor-cache.json"] == "not built"
    assert status["dist/lib/two.so"] == "built"


def test_a_failed_step_runs_again_and_is_never_up_to_date(built: Project) -> None:
    before = (built.root / ONE).read_bytes()
    built.edit("models/one/config.json", context_window_size=128)
    built.order("fail", ONE)
    for _ in range(2):
        assert built.scons().returncode == 2
        assert built.report()[ONE]["status"] == "failed"
        assert (built.root / ONE).read_bytes() == before
    built.order("fail")
    assert f"compile {ONE}" in built.build()
    assert (built.root / ONE).read_bytes() != before


def test_the_report_holds_what_was_made(built: Project) -> None:
    row = built.report()[ONE]
    content = (built.root / ONE).read_bytes()
    assert row["sha256"] == hashlib.sha256(content).hexdigest()
    assert row["bytes"] == len(content)
    assert row["seconds"] > 0
    assert row["log"] == "build/log/dist/lib/one.so.log"
    weights = built.report()["build/one/model/tensor-cache.json"]
    index = built.root / "build/one/model/tensor-cache.json"
    assert weights["bytes"] == 3000 + index.stat().st_size
    assert row["peak_memory"] > 1 << 20
    assert row["ran"]
    built.build()
    assert built.report()[ONE] == {**row, "status": "up to date", "ran": False}


def test_a_verb_that_does_not_make_its_target_fails(project: Project) -> None:
    project.use_command("true")
    done = project.scons(ONE)
    assert done.returncode == 2
    assert "build/one/model/mlc-chat-config.json was not made" in done.stderr


def test_a_command_that_does_not_exist_fails_with_its_name(project: Project) -> None:
    project.use_command("no-such-program")
    done = project.scons(ONE)
    assert done.returncode == 2
    assert "no-such-program: No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "output",
    [
        ONE,
        "build/one/model/params_shard_1.bin",
        "build/one/model/tensor-cache.json",
        "compile-config.json",
    ],
)
def test_a_killed_build_goes_on_to_what_a_clean_one_makes(
    built: Project, output: str
) -> None:
    clean = built.files()
    assert built.scons("-c").returncode == 0
    built.order("hang", output)
    process = built.start()
    step = hanging(built)
    kill(process, step)
    built.order("hang")
    assert built.build() != []
    assert built.files() == clean
    assert built.build() == []


@pytest.mark.parametrize(("jobs", "others"), [("-j1", 1), ("-j3", 9)])
def test_a_killed_build_loses_no_step_that_was_done(
    project: Project, jobs: str, others: int
) -> None:
    project.order("hang", ONE)
    process = project.start(jobs)
    step = hanging(project)
    signatures = project.root / ".sconsign.dblite"

    def ended() -> set[str]:
        lines = (project.root / "build/journal.jsonl").read_text().splitlines()
        return {json.loads(line)["target"] for line in lines}

    wait_for(lambda: len(ended()) >= others and ended() <= signed(signatures))
    kill(process, step)
    done = len(ended())
    project.order("hang")
    assert len(project.build()) == 11 - done
    assert {row["status"] for row in project.report().values()} == {
        "built",
        "up to date",
    }
    assert project.build() == []


def test_a_killed_rebuild_keeps_the_old_library(built: Project) -> None:
    before = (built.root / ONE).read_bytes()
    built.edit("models/one/config.json", context_window_size=128)
    built.order("hang", ONE)
    process = built.start()
    step = hanging(built)
    kill(process, step)
    assert (built.root / ONE).read_bytes() == before
    built.order("hang")
    assert f"compile {ONE}" in built.build()
    assert (built.root / ONE).read_bytes() != before
    assert not list((built.root / "dist/lib").glob(".*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("jobs", ["-j1", "-j2"])
def test_an_interrupted_build_ends_its_steps_and_reports(
    built: Project, number: signal.Signals, jobs: str
) -> None:
    before = (built.root / ONE).read_bytes()
    built.edit("models/one/config.json", context_window_size=128)
    built.order("hang", ONE)
    process = built.start(jobs)
    step = hanging(built)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "Build interrupted" in err
    assert "Traceback" not in out + err
    assert not is_running(step)
    assert (built.root / ONE).read_bytes() == before
    row = built.report()[ONE]
    assert (row["status"], row["error"]) == ("interrupted", None)
    assert " interrupted" in out.splitlines()[-1]
    assert len(built.report()) == 11
    built.order("hang")
    assert f"compile {ONE}" in built.build()


@pytest.fixture
def stubborn(project: Project) -> Project:
    """Return a project whose steps ignore interrupts."""
    script = project.root / "stubborn.py"
    script.write_text(
        "import os, pathlib, signal, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"path = pathlib.Path({str(project.control)!r}, 'hanging')\n"
        "path.with_name('pid').write_text(str(os.getpid()))\n"
        "path.with_name('pid').replace(path)\n"
        "time.sleep(600)\n"
    )
    project.use_command(sys.executable, str(script))
    return project


def test_a_step_that_ignores_the_interrupt_is_killed(stubborn: Project) -> None:
    process = stubborn.start()
    step = hanging(stubborn)
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert not is_running(step)


def test_so_is_one_whose_build_was_killed(stubborn: Project) -> None:
    process = stubborn.start()
    kill(process, hanging(stubborn))


def test_the_journal_survives_a_kill(project: Project) -> None:
    project.order("hang", ONE)
    process = project.start()
    step = hanging(project)
    kill(process, step)
    lines = (project.root / "build/journal.jsonl").read_text().splitlines()
    done = {json.loads(line)["target"] for line in lines}
    assert "build/one/model/tensor-cache.json" in done


def test_a_torn_journal_is_read_as_far_as_it_goes(built: Project) -> None:
    journal = built.root / "build/journal.jsonl"
    journal.write_text(journal.read_text() + '{"target": "dist/li\n[1]\n\n')
    assert built.build() == []
    assert built.report()[ONE]["sha256"]
    assert len(journal.read_text().splitlines()) == 11


def test_a_second_build_waits_for_the_first(project: Project) -> None:
    project.order("hang", ONE)
    first = project.start(ONE)
    step = hanging(project)
    second = project.start(ONE)
    assert f"process {first.pid}" in waiting(second)
    project.order("hang")
    os.killpg(step, signal.SIGKILL)
    assert first.wait(PATIENCE) == 2
    second.communicate(timeout=PATIENCE)
    assert second.returncode == 0
    assert (project.root / ONE).exists()


def waiting(process: subprocess.Popen[str], what: str = "waiting for the build") -> str:
    """Wait until ``process`` says that it waits, and return how."""
    assert process.stdout is not None
    while what not in (line := process.stdout.readline()):
        assert line, "it did not wait"
    return line


def test_whoever_is_killed_of_builds_in_one_folder_harms_no_other(
    built: Project,
) -> None:
    clean = built.files()
    assert built.scons("-c").returncode == 0
    built.order("hang", ONE)
    first = built.start("-j2")
    step = hanging(built)
    command = [sys.executable, "-m", "mlcx", "package"]
    beside, second = built.start(command=command), built.start("-j2")
    waiting(beside)
    waiting(second)
    os.killpg(beside.pid, signal.SIGKILL)
    assert is_running(step)
    built.order("hang")
    kill(first, step)
    out, err = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0, out + err
    assert built.files() == clean
    assert built.build() == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_build_waits_for_a_step_that_outlives_its_build(project: Project) -> None:
    project.order("hang", ONE)
    first = project.start(ONE)
    step = hanging(project)
    children = Path(f"/proc/{first.pid}/task").glob("*/children")
    for child in {int(each) for file in children for each in file.read_text().split()}:
        if child != step:  # what would end it
            os.kill(child, signal.SIGKILL)
    first.kill()
    first.wait()
    project.order("hang")
    second = project.start(ONE)
    waiting(second, "waiting for the last steps of the build")
    assert second.poll() is None
    assert is_running(step)
    os.killpg(step, signal.SIGKILL)
    second.communicate(timeout=PATIENCE)
    assert second.returncode == 0


def compiled(calls: list[str]) -> list[str]:
    return [call for call in calls if call.startswith("compile")]


def test_redo_compiles_what_is_up_to_date(built: Project) -> None:
    calls = built.build(MLC_JIT_POLICY="REDO")
    assert calls == ["compile dist/lib/one.so", "compile dist/lib/two.so"]
    assert built.build(MLC_JIT_POLICY="ON") == []


def test_readonly_takes_what_is_up_to_date(built: Project) -> None:
    assert built.build(MLC_JIT_POLICY="READONLY") == []


def test_readonly_names_what_is_missing(built: Project) -> None:
    (built.root / ONE).unlink()
    built.edit("models/two/config.json", context_window_size=128)
    done = built.scons("-k", MLC_JIT_POLICY="READONLY")
    assert done.returncode == 2
    assert compiled(built.calls()) == []
    assert f"mlcx: {ONE} is missing, and MLC_JIT_POLICY is READONLY" in done.stderr
    assert "dist/lib/two.so is out of date, and MLC_JIT_POLICY" in done.stderr
    assert built.report()[ONE]["status"] == "failed"


def test_off_refuses_every_library(built: Project) -> None:
    done = built.scons("-k", MLC_JIT_POLICY="OFF")
    assert done.returncode == 2
    assert compiled(built.calls()) == []
    assert done.stderr.count("MLC_JIT_POLICY is OFF") == 2
    summary = done.stdout.splitlines()[-3:-1]
    assert all(line.endswith("MLC_JIT_POLICY is OFF") for line in summary)
    assert (built.root / ONE).exists()


def without_traceback(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr
    return done.stderr


def test_a_wrong_policy_is_refused(project: Project) -> None:
    message = without_traceback(project.scons(MLC_JIT_POLICY="yes"))
    expected = "expected one of ON, REDO, READONLY, OFF, found 'yes'"
    assert message == f"mlcx: MLC_JIT_POLICY: {expected}\n"


def test_an_unknown_variable_is_refused(project: Project) -> None:
    message = without_traceback(project.scons("OUTPT=x"))
    known = "did you mean 'OUTPUT='? Expected one of SPEC=, OUTPUT=, BUILD="
    assert message.startswith(f"mlcx: unknown variable 'OUTPT=': {known}")


def test_a_switch_is_on_or_off(project: Project) -> None:
    message = without_traceback(project.scons("MANIFEST=maybe"))
    assert message == "mlcx: MANIFEST=maybe: expected 1 or 0\n"


@pytest.mark.parametrize("variable", ["OUTPUT", "BUILD"])
def test_a_file_in_place_of_a_folder_is_refused(
    project: Project, variable: str
) -> None:
    (project.root / "taken").write_text("")
    message = without_traceback(project.scons(f"{variable}=taken"))
    assert message == f"mlcx: {variable}=taken: expected a folder, found a file\n"


def test_a_missing_spec_is_refused(project: Project) -> None:
    message = without_traceback(project.scons("missing.json"))
    assert message == "missing.json: there is no such file\n"


def test_a_misspelt_key_is_refused_at_its_place(project: Project) -> None:
    path = project.root / "mlc-package-config.json"
    spec = json.loads(path.read_text())
    spec["model_list"][0]["quantisation"] = "q4f16_1"
    write_json(path, spec)
    message = without_traceback(project.scons())
    assert message.startswith("mlc-package-config.json:")
    assert "quantisation" in message


def test_a_missing_shard_of_a_checkpoint_is_named(project: Project) -> None:
    index = project.root / "models/one/model.safetensors.index.json"
    write_json(index, {"weight_map": {"a": "model-1.safetensors"}})
    message = without_traceback(project.scons())
    assert "models/one/model-1.safetensors" in message
    assert not (project.root / "dist/bundle/one/tensor-cache.json").exists()


def test_a_folder_in_the_place_of_a_product_is_refused(project: Project) -> None:
    (project.root / "dist/lib/one.so").mkdir(parents=True)
    done = project.scons()
    message = "mlcx: dist/lib/one.so: expected a file, found a folder\n"
    assert (done.returncode, done.stderr) == (2, message)
    assert project.calls() == []
