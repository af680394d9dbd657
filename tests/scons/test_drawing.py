"""What is said of a step that runs."""

from __future__ import annotations

import io
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlcx.progress import Stage
from mlcx.scons import drawing
from mlcx.scons.drawing import Drawing, clock, count, doing
from mlcx.scons.screen import Running, Totals

GB = 1_000_000_000


@pytest.mark.parametrize(
    ("stage", "before", "rate", "said"),
    [
        (None, None, None, ""),
        (None, 41.3, None, "took 41.3 s last time"),
        (Stage("linking"), None, None, "linking"),
        (Stage("linking"), 41.3, None, "linking, took 41.3 s last time"),
        (Stage("downloading", GB, 4 * GB), None, None, "1 GB of 4 GB"),
        (
            Stage("downloading", GB, 4 * GB),
            9.0,
            GB / 20,
            "1 GB of 4 GB, 1:00 left, 50 MB/s",
        ),
        (Stage("downloading", 0, 0), None, None, "downloading"),
        (Stage("downloading", 0, GB), None, 0.0, "0 B of 1 GB"),
    ],
)
def test_a_step_says_what_is_known(
    stage: Stage | None, before: float | None, rate: float | None, said: str
) -> None:
    assert doing(stage, before, rate) == said


def test_a_clock_counts_whole_seconds() -> None:
    assert [clock(each) for each in (0.9, 61, 3601.5)] == ["0:00", "1:01", "1:00:01"]


def test_failures_are_counted_when_there_are_some() -> None:
    assert count(Totals(3, 0, 11), 2) == "3 of 11 done, 2 running"
    assert count(Totals(3, 1, 11), 2) == "3 of 11 done, 1 failed, 2 running"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [50, 60, 120])
def test_lines_fit_and_a_bar_is_there_where_there_is_room(
    tmp_path: Path, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "8")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(drawing, "_PER_SECOND", 0.001)  # but at the end
    monkeypatch.setattr(drawing, "time", SimpleNamespace(monotonic=lambda: 0.9))
    told, log = tmp_path / "told", tmp_path / "log"
    told.write_text('{"text": "converting", "done": 250, "total": 1000}')
    log.write_text("$ prepare\nan \x1b[31m[odd]\x1b[0m line\rsaid last\n")
    steps = [Running("convert_weight", "m" * 50, log, told, None, 0.0)]
    steps += [Running("prepare_libs", "iphone", log, tmp_path / "none", None, 0.0)] * 9
    terminal = Terminal()
    Drawing(terminal, lambda: steps, lambda: Totals(1, 0, 11)).stop()
    frame = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue()).splitlines()
    lines = [line.strip() for line in frame if line.strip()]
    assert len(lines) == 7
    assert all(len(line) <= columns for line in lines)
    assert lines[0].startswith("0:00  convert_weight  mmmm")
    assert ("━" in lines[0]) == (columns == 120)
    assert "250" in lines[0]
    assert lines[1].startswith("0:00  prepare_libs    iphone")
    assert lines[1].endswith("said last")
    assert lines[-2:] == ["… and 5 more", "1 of 11 done, 10 running"]
