"""Where Emscripten's libraries are, and that some are missing."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mlcx.toolchain import emscripten, sysroot

LIBRARIES = "sysroot/lib/wasm32-emscripten"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of an Emscripten, on the PATH, without libraries."""
    folder = tmp_path / "emsdk"
    folder.mkdir()
    (folder / "emcc").touch(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    monkeypatch.delenv("EM_CACHE", raising=False)
    return folder


def fill(cache: Path) -> Path:
    """Make a cache that has all libraries; return their folder."""
    folder = cache / LIBRARIES
    folder.mkdir(parents=True)
    (folder / sysroot.START).touch()
    for name in sysroot.LIBRARIES:
        (folder / f"lib{name}.a").touch()
    return folder


def configure(home: Path, text: str) -> None:
    (home / "em-config").write_text(f"#!/bin/sh\n{text}\n")
    (home / "em-config").chmod(0o755)


def in_the_cache_beside(home: Path) -> Path:
    return fill(home / "cache")


def where_the_configuration_says(home: Path) -> Path:
    configure(home, f'test "$1" = CACHE && echo {home / "other"}')
    return fill(home / "other")


@pytest.mark.parametrize("put", [in_the_cache_beside, where_the_configuration_says])
def test_libraries_are_found(home: Path, put: Callable[[Path], Path]) -> None:
    expected = put(home)
    assert sysroot.folder() == expected


def test_the_environment_counts_most(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(home / "cache")
    monkeypatch.setenv("EM_CACHE", str(home / "named"))
    assert sysroot.folder() is None
    expected = fill(home / "named")
    assert sysroot.folder() == expected


@pytest.mark.parametrize("lacking", [sysroot.START, "libc.a", "libc++abi-noexcept.a"])
def test_each_library_counts(home: Path, lacking: str) -> None:
    (fill(home / "cache") / lacking).unlink()
    configure(home, "exit 1")
    assert sysroot.folder() is None
    assert Path(lacking).stem in sysroot.REMEDY.split()


def test_without_emscripten_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert sysroot.folder() is None


@pytest.mark.skipif(emscripten.program() is None, reason="needs Emscripten")
def test_the_remedy_is_one_that_emscripten_knows() -> None:
    program = Path(str(emscripten.program())).with_name("embuilder")
    done = subprocess.run(
        [str(program), "--help"], capture_output=True, text=True, check=False
    )
    known = done.stdout.split()
    assert set(sysroot.REMEDY.split()[2:]) <= set(known)
