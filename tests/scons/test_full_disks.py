"""Builds on a disk without room: one message, no product but a whole one, and on later.

The disk is a small one in memory, which only root can mount.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .project import REPOSITORY, Project, write_json

pytestmark = pytest.mark.slow

FULL = "cannot be written: No space left on device"
MODEL = "tinytales-q4f16_1"


class Disk:
    """A disk of which a filler leaves as much room as a test wants."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def leave(self, kilobytes: int) -> None:
        self.empty()
        room = shutil.disk_usage(self.path).free - kilobytes * 1024
        self._filler.write_bytes(bytes(room))

    def empty(self) -> None:
        self._filler.unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(path)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    yield Disk(path)
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def small(disk: Disk, tmp_path: Path, sources: Path) -> Iterator[Project]:
    """Return a project that is all on the disk, and up to date."""
    made = Project(disk.path / "project", tmp_path / "control", sources)
    made.create()
    made.build()
    yield made
    made.end()


def whole(project: Project) -> dict[str, bytes]:
    """Return the products, not what a step was working on."""
    found = project.files()
    return {
        name: data
        for name, data in found.items()
        if not Path(name).name.startswith(".") and "valid-specs" not in name
    }


@pytest.mark.parametrize("kilobytes", [0, 4, 16, 40, 100, 200])
def test_a_disk_that_fills_up_at_any_moment(
    small: Project, disk: Disk, kilobytes: int
) -> None:
    clean, everything = whole(small), small.files().keys()
    assert small.scons("-c").returncode == 0
    disk.leave(kilobytes)
    done = small.scons("-k")
    assert done.returncode == 2
    # The stand-ins for real verbs end with a traceback in their logs, which is quoted.
    assert "\nTraceback" not in done.stdout + done.stderr
    assert "\nmlcx: " in "\n" + done.stderr
    assert "No space left on device" in done.stderr
    assert whole(small).items() <= clean.items()
    disk.empty()
    small.build()
    assert whole(small) == clean
    assert small.files().keys() == everything
    assert small.build() == []


@pytest.fixture
def sample(tmp_path: Path, sources: Path) -> Iterator[Project]:
    """Return a project with the sample model and the real verbs."""
    made = Project(tmp_path / "project", tmp_path / "control", sources)
    made.create()
    made.use_command(sys.executable, "-m", "mlcx")
    made.patience = 600
    spec = json.loads((REPOSITORY / "specs/mlc-package-config.json").read_text())
    del spec["$schema"]
    spec["model_list"][0]["model"] = str(REPOSITORY / "specs/sample-model")
    write_json(made.root / "mlc-package-config.json", spec)
    yield made
    made.end()


def test_converting_says_beforehand_what_it_needs(sample: Project, disk: Disk) -> None:
    target = disk.path / f"build/{MODEL}/model/tensor-cache.json"
    words = (f"BUILD={disk.path / 'build'}", str(target))
    disk.leave(600)
    done = sample.scons(*words)
    assert done.returncode == 2
    assert "model: needs 1054080 bytes of disk space, found " in done.stderr
    assert [path.name for path in target.parent.parent.rglob("*")] == []
    disk.empty()
    assert sample.scons(*words).returncode == 0
    assert target.exists()


def test_a_whole_build_is_refused_before_it_begins(sample: Project, disk: Disk) -> None:
    disk.leave(200)
    done = sample.scons(f"BUILD={disk.path / 'build'}")
    assert done.returncode == 1
    assert f"mlcx: the disk of {disk.path}" in done.stderr
    assert " kB left, and at least " in done.stderr
    assert "by convert_weight into " in done.stderr
    assert not (disk.path / "build" / MODEL).exists()


def test_bundles_and_libraries_are_whole_or_not_there(
    sample: Project, disk: Disk
) -> None:
    output = disk.path / "dist"
    bundle = output / f"bundle/{MODEL}/tensor-cache.json"
    library = output / "lib/tinytales_q4f16_1.so"
    for kilobytes, target in ((300, bundle), (100, library)):
        disk.leave(kilobytes)
        done = sample.scons(f"OUTPUT={output}", str(target))
        assert done.returncode == 2
        assert FULL in done.stderr
        assert "Traceback" not in done.stderr
        left = [path.name for path in target.parent.glob("*") if path.is_file()]
        assert [name for name in left if "report" not in name] == []
    disk.leave(0)
    elsewhere = sample.root / "out"
    # A build of whole specs would be refused before: see above.
    wanted = elsewhere / library.relative_to(output)
    build = f"BUILD={disk.path / 'build'}"
    done = sample.scons(build, f"OUTPUT={elsewhere}", str(wanted))
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    disk.empty()
    done = sample.scons(f"OUTPUT={output}")
    assert done.returncode == 0, done.stderr
    assert bundle.exists()
    assert library.exists()


def test_a_cache_that_is_full_is_done_without(sample: Project, disk: Disk) -> None:
    cache = disk.path / "cache"
    disk.leave(8)
    words = ("build/tinytales-q4f16_1/config/q4f16_1-51f2fcff/compile-config.json",)
    done = sample.scons(*words, MLCX_CACHE_DIR=str(cache))
    assert done.returncode == 0
    assert f"mlcx: warning: cache {cache}: {cache}" in done.stderr
    assert f"{FULL}: going on without it" in done.stderr
    entries = cache / "entries"
    assert not entries.exists() or not list(entries.rglob("[0-9a-f]" * 64))
    disk.empty()
    (sample.root / words[0]).unlink()
    assert sample.scons(*words, MLCX_CACHE_DIR=str(cache)).returncode == 0
    assert len(list(entries.glob("*/*"))) == 1
