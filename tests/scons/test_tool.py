"""The tool refuses a system that builds do not run on."""

import sys

import pytest

from mlcx.scons import ending, generate


def test_where_there_are_no_locks_of_posix_a_build_says_where_it_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows
    monkeypatch.setattr(ending, "_ending", ending._Ending())
    with pytest.raises(SystemExit):
        generate(None)
    assert ending.status(None) == 2
    assert capsys.readouterr().err.startswith("mlcx: builds run on Linux and macOS")
