"""A cache that is in trouble, and the build that goes on: whole, and told once."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlcx.store.folder import FolderStore

from .project import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def built(project: Project, *options: str, **environ: str) -> list[str]:
    """Build, and return the warnings; loads of the machine may make it slow."""
    process = project.start(*options, **environ)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, out + err
    assert "Traceback" not in out + err
    return [line for line in err.splitlines() if "warning:" in line]


@pytest.fixture
def expected(project: Project, tmp_path: Path) -> dict[str, bytes]:
    """Return what a build without a cache makes."""
    assert built(project, "CACHE_DIR=none") == []
    made = project.files()
    for name in ("dist", "build"):
        shutil.rmtree(project.root / name)
    (project.root / ".sconsign.dblite").unlink(missing_ok=True)
    return made


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    tried = subprocess.run(["mount", *options], check=False)
    if tried.returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("jobs", ["-j1", "-j8"])
def test_on_a_full_disk_a_build_goes_on(
    project: Project, expected: dict[str, bytes], small: Path, jobs: str
) -> None:
    (warning,) = built(project, jobs, MLCX_CACHE_DIR=str(small / "cache"))
    assert "No space left on device" in warning
    assert warning.endswith("going on without it")
    assert project.files() == expected
    store = FolderStore(small / "cache")
    assert list(store.check()) == []
    left = [path for path in (small / "cache").rglob(".*") if path.is_file()]
    assert left == []


def test_a_server_that_says_nothing_costs_seconds_and_a_warning(
    project: Project, expected: dict[str, bytes]
) -> None:
    pytest.importorskip("obstore")
    begin = time.monotonic()
    with socket.create_server(("127.0.0.1", 0), backlog=64) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/cache"
        (warning,) = built(project, "-j4", f"CACHE={url}")
    assert url in warning
    assert warning.endswith("going on without it")
    assert project.files() == expected
    assert time.monotonic() - begin < 240
