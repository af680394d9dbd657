"""Files and folders that are closed for this user: one clear message, status 2."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .project import PATIENCE, Project

CLOSED, READ_ONLY = 0o000, 0o555


@pytest.fixture
def user() -> list[str]:
    """Return what a command is run by so that rights count; root has them all."""
    if os.geteuid():
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root can read and write everything, and setpriv is not here")
    return [setpriv, "--bounding-set=-all", "--inh-caps=-all"]


@pytest.fixture
def closed() -> Iterator[dict[Path, int]]:
    """Return paths to their rights, which they get back."""
    before: dict[Path, int] = {}
    yield before
    for path, rights in before.items():
        path.chmod(rights)


CASES = [
    pytest.param(
        ".", READ_ONLY, "SCons", "{} cannot be written in, and SCons keeps .sconsign"
    ),
    pytest.param(
        "dist", READ_ONLY, "SCons", "{} cannot be written in, and what is made"
    ),
    pytest.param(
        "build",
        READ_ONLY,
        "SCons",
        "{} cannot be written in, and steps work there",
        marks=pytest.mark.slow,
    ),
    pytest.param(
        "mlc-package-config.json",
        CLOSED,
        "mlcx package",
        "mlc-package-config.json: cannot be read: Permission denied",
    ),
    pytest.param(
        "models/one/config.json",
        CLOSED,
        "mlcx package",
        "{}: cannot be read: Permission denied",
    ),
    pytest.param(
        "models/one",
        CLOSED,
        "mlcx package",
        "mlc-package-config.json:5:16: the folder {} cannot be read: Permission denied",
    ),
    pytest.param(
        "models/one",
        CLOSED,
        "mlcx compile models/one -o one.so",
        "mlcx: models/one/compile-config.json: Permission denied",
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize(("name", "rights", "command", "message"), CASES)
def test_what_is_closed_is_named(
    project: Project,
    user: list[str],
    closed: dict[Path, int],
    name: str,
    rights: int,
    command: str,
    message: str,
) -> None:
    path = project.root / name
    if rights == READ_ONLY:
        path.mkdir(exist_ok=True)
    closed[path] = path.stat().st_mode
    path.chmod(rights)
    before = sorted(project.root.rglob("*")) if rights == READ_ONLY else None
    process = project.start(command=[*user, sys.executable, "-m", *command.split()])
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2, err
    assert message.format(path) in err
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1
    if before is not None:
        assert sorted(project.root.rglob("*")) == before
