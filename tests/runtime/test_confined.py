from __future__ import annotations

import json
import operator
import time
from pathlib import Path
from typing import Any

import pytest

from mlcx.errors import BuildError
from mlcx.package.templates import load_template
from mlcx.runtime.confined import confined


def test_the_result_comes_back() -> None:
    assert confined(operator.mul, "é", 3) == "ééé"


def test_files_of_the_folder_that_is_worked_in_are_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    for name in ("json", "multiprocessing", "operator", "pickle", "signal", "socket"):
        (tmp_path / f"{name}.py").write_text(f"open({str(ran)!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    assert confined(operator.mul, 2, 3) == 6
    assert not ran.exists()


@pytest.mark.parametrize(
    ("function", "argument", "seconds", "said"),
    [
        (load_template, "chatlm", 60, "did you mean 'chatml'"),
        (bytearray, 1 << 40, 60, "too much memory"),
        (json.loads, "{", 60, "crashes: json.decoder.JSONDecodeError: Expecting"),
        (time.sleep, 600, 0.5, r"more than 0\.5 s"),
    ],
)
def test_what_goes_wrong_there_is_an_error_here(
    function: Any,
    argument: Any,
    seconds: float,
    said: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(BuildError, match=said):
        confined(function, argument, seconds=seconds)
    assert capfd.readouterr().err == ""
