from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlcx import interpreter

VERSIONS = [(3, 10), *([(3, 11)] if sys.version_info >= (3, 11) else [])]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_folder_that_is_worked_in_cannot_stand_in_for_a_library(
    tmp_path: Path, version: tuple[int, int]
) -> None:
    for name in ("runpy", "argparse", "mlcx", "json", "mine"):
        (tmp_path / f"{name}.py").write_text(f"print('{name} of the folder')\n")
    root = str(Path(interpreter.__file__).parents[1])
    added = tmp_path / "added"
    added.mkdir()
    (added / "mine.py").write_text("import sys; print(__name__, *sys.argv[1:])")
    environ = {**os.environ, "PYTHONPATH": f"{added}{os.pathsep}{root}"}
    environ.pop("PYTHONSAFEPATH", None)

    def said(module: str, *words: str) -> str:
        return subprocess.run(
            [*interpreter.command(module, version), *words],
            cwd=tmp_path,
            env=environ,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    assert said("mlcx", "--version").startswith("mlcx 0")
    assert said("mine", "-o", "a b") == "__main__ -o a b\n"
