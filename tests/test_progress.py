"""What a step says of how far it is, and what is seen of it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlcx import progress
from mlcx.progress import Stage, bar, draws, read, say


def test_what_a_step_says_replaces_what_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    monkeypatch.setenv(progress.VARIABLE, str(told))
    assert read(told) is None
    say("loading TVM")
    assert read(told) == Stage("loading TVM")
    counted = bar("converting", 1000, 200)
    assert read(told) == Stage("converting", 200, 1000)
    for _ in range(3):
        counted.update(100)
    counted.close()
    assert read(told) == Stage("converting", 500, 1000)


def test_bytes_are_not_written_down_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    monkeypatch.setenv(progress.VARIABLE, str(told))
    monkeypatch.setattr(progress, "_PERIOD", 1000)
    counted = bar("converting", 1000)
    counted.update(100)
    assert read(told) == Stage("converting", 0, 1000)
    counted.close()
    assert read(told) == Stage("converting", 100, 1000)


def test_nobody_is_told_where_no_build_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(progress.VARIABLE, raising=False)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    say("linking")
    counted = bar("converting", 10)
    counted.update(10)
    counted.close()
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"text": 1}', "null"])
def test_what_is_half_written_is_nothing(tmp_path: Path, content: str) -> None:
    told = tmp_path / "told"
    told.write_text(content)
    assert read(told) is None


def test_a_step_goes_on_when_it_cannot_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "gone" / "told"))
    say("linking")
    counted = bar("converting", 10)
    counted.update(10)
    counted.close()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("environ", [{}, {"TERM": "dumb"}, {"TERM": "x", "CI": "1"}])
def test_there_are_plain_lines_where_nothing_can_be_drawn(
    environ: dict[str, str],
) -> None:
    assert not draws(Terminal(), environ)
    assert not draws(io.StringIO(), {"TERM": "xterm"})
    assert draws(Terminal(), {"TERM": "xterm"})


def test_a_bar_starts_no_process_where_python_starts_processes_afresh() -> None:
    script = (
        "import multiprocessing\n"
        "from multiprocessing.resource_tracker import _resource_tracker\n"
        "from mlcx.progress import above, bar\n"
        "multiprocessing.set_start_method('spawn')\n"
        "with bar('copying', 9) as counted:\n"
        "    counted.update(9)\n"
        "above('done')\n"
        "print(_resource_tracker._pid)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        text=True,
        capture_output=True,
        env={**os.environ, "MLCX_PROGRESS": ""},
    )
    assert (done.stdout, done.stderr) == ("None\n", "done\n")
