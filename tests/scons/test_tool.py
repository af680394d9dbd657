"""What the tool refuses, and what it takes for a spec."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlcx.scons import ending, generate, tool
from mlcx.steps.requests import Folders


def test_where_there_are_no_locks_of_posix_a_build_says_where_it_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows
    monkeypatch.setattr(ending, "_ending", ending._Ending())
    with pytest.raises(SystemExit):
        generate(None)
    assert ending.status(None) == 2
    assert capsys.readouterr().err.startswith("mlcx: builds run on Linux and macOS")


def test_a_spec_in_the_output_folder_is_a_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    current = SimpleNamespace(folders=Folders(tmp_path, tmp_path / "build"))
    made = ["bundle/mlc-app-config.json", "build/one/model/mlc-chat-config.json"]
    specs = ["spec.json", "specs/spec.json"]
    assert [each for each in specs + made if tool._is_made(current, each)] == made
