"""Builds that would write into one folder follow each other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mlcx.artifact import LOCK
from mlcx.scons.lock import BUILD, Locks

from .project import PATIENCE, Project, wait_for
from .test_failures import hanging, kill, waiting

ONE = "dist/lib/one.so"


class Said:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)

    lines = error = note


def test_who_holds_a_lock_is_waited_for_and_named(tmp_path: Path) -> None:
    first, second, said = Locks(), Locks(), Said()
    path = tmp_path / "dist" / LOCK
    first.acquire(path, said)
    first.acquire(tmp_path / "dist" / ".." / "dist" / LOCK, said)  # which it has
    assert said.texts == []
    waits = threading.Thread(target=second.acquire, args=(path, said), daemon=True)
    waits.start()
    wait_for(lambda: bool(said.texts))
    held = f"of process {os.getpid()}, which holds {path} since 20"
    assert f"waiting for the build {held}" in said.texts[0]
    first.release()  # and removes the file, which the other must not take for locked
    waits.join(PATIENCE)
    assert path.exists()
    assert len(second.descriptors) == 1
    second.release()
    assert not path.parent.exists()


def test_steps_that_outlive_a_killed_build_are_waited_for(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    first, said = Locks(), Said()
    path = tmp_path / LOCK
    first.acquire(path, said)
    path.write_text(f"{ended.pid}\n")
    second = threading.Thread(target=Locks().acquire, args=(path, said), daemon=True)
    second.start()
    wait_for(lambda: bool(said.texts))
    killed = f"last steps of the build of process {ended.pid}, which was killed"
    assert killed in said.texts[0]
    first.release()
    second.join(PATIENCE)


def test_builds_into_folders_of_one_another_wait_and_those_beside_do_not(
    tmp_path: Path,
) -> None:
    around, within, beside = Locks(), Locks(), Locks()
    said, late = Said(), Said()
    dist, sub = tmp_path / "dist", tmp_path / "dist" / "sub"
    within.acquire_output(sub, said)
    beside.acquire_output(tmp_path / "dist" / "more", said)
    assert said.texts == []
    beside.release()
    waits = threading.Thread(target=around.acquire_output, args=(dist, said))
    waits.start()
    wait_for(lambda: bool(said.texts))
    assert said.texts[0].startswith(f"waiting for a build into a folder of {dist};")
    within.release()
    waits.join(PATIENCE)
    waits = threading.Thread(target=within.acquire_output, args=(sub, late))
    waits.start()
    wait_for(lambda: bool(late.texts))
    held = f"build of process {os.getpid()}, which holds {dist / LOCK} since 20"
    assert held in late.texts[0]
    around.release()
    waits.join(PATIENCE)
    within.release()
    assert not sub.exists()


def test_one_process_may_build_into_folders_of_one_another(tmp_path: Path) -> None:
    locks, said = Locks(), Said()
    for folder in (tmp_path / "a" / "b", tmp_path / "a", tmp_path / "a" / "b" / "c"):
        locks.acquire_output(folder, said)
    assert said.texts == []
    locks.release()
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("content", ["", "x", "\0" * 50, "٣", "9" * 19])
def test_a_lock_file_may_hold_anything(tmp_path: Path, content: str) -> None:
    first, said = Locks(), Said()
    path = tmp_path / BUILD
    first.acquire(path, said)
    path.write_text(content)
    second = threading.Thread(target=Locks().acquire, args=(path, said), daemon=True)
    second.start()
    wait_for(lambda: bool(said.texts))
    assert said.texts[0].startswith("waiting for the ")
    first.release()
    second.join(PATIENCE)


def products(project: Project) -> dict[str, bytes]:
    return {name: data for name, data in project.files().items() if "dist" in name}


def test_builds_with_folders_of_their_own_share_no_output(built: Project) -> None:
    clean = products(built)
    shutil.rmtree(built.root / "dist")
    built.order("hang", ONE)
    first = built.start("BUILD=a", "CACHE_DIR=none")
    step = hanging(built)
    second = built.start("BUILD=b", "CACHE_DIR=none", "-j2")
    held = f"of process {first.pid}, which holds dist/{LOCK} since "
    assert held in waiting(second)
    built.order("hang")
    kill(first, step)
    out, err = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0, out + err
    assert products(built) == clean
    assert not list(built.root.rglob(LOCK))


def test_a_script_may_build_into_one_folder_in_two_ways(project: Project) -> None:
    script = project.root / "SConstruct"
    script.write_text(
        script.read_text() + "\n"
        'other = env.Clone(BUILD="other")\n'
        'other.MLCLibrary("dist/lib/more.so", "models/two", kind="checkpoint", '
        'quantization="q4f16_1")\n'
    )
    assert "compile dist/lib/more.so" in project.build("dist/lib/more.so")
    assert not list(project.root.rglob(LOCK))
    assert not list(project.root.rglob(BUILD))


def test_a_file_of_the_users_that_is_called_lock_stays(built: Project) -> None:
    file = built.root / "build/lock"
    file.write_text("4711\n")
    assert built.build() == []
    assert file.read_text() == "4711\n"


def test_a_build_that_is_refused_leaves_no_folder(project: Project) -> None:
    (project.root / "mlc-package-config.json").write_text("{}")
    assert project.scons("OUTPUT=a/b/c").returncode == 2
    assert not (project.root / "a").exists()
    assert not (project.root / "build").exists()
