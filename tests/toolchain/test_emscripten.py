"""Which Emscripten there is, as its file or the program says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlcx.toolchain import emscripten

SAYS = "emcc (Emscripten gcc/clang-like replacement + linker emulating GNU ld) 3.1.51"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a program, on the PATH by a link, that says its version and is logged."""
    real = tmp_path / "share/emcc"
    real.parent.mkdir()
    log = tmp_path / "asked"
    real.write_text(f"#!/bin/sh\necho >> {log}\necho '{SAYS} (0a1b2c)'\necho more\n")
    real.chmod(0o755)
    (tmp_path / "emcc").symlink_to(real)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.delenv("EM_CONFIG", raising=False)
    return real


@pytest.mark.parametrize("text", ["3.1.50\n", '"3.1.50"\n'])
def test_a_release_is_not_asked(program: Path, tmp_path: Path, text: str) -> None:
    (program.parent / "emscripten-version.txt").write_text(text)
    assert emscripten.version() == "3.1.50"
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize("text", [None, "", '"3.1.51-git"\n'])
def test_what_is_no_release_is_asked_once(
    program: Path, tmp_path: Path, text: str | None
) -> None:
    if text is not None:
        (program.parent / "emscripten-version.txt").write_text(text)
    assert [emscripten.version() for _ in range(2)] == ["3.1.51 (0a1b2c)"] * 2
    assert (tmp_path / "asked").read_text() == "\n"


def test_a_configuration_that_the_environment_names_counts(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what it says, wherever it is."""
    (program.parent / "emscripten-version.txt").write_text("3.1.50")
    found = []
    for name, text in (("a", "LLVM_ROOT = 1"), ("b", "LLVM_ROOT = 1"), ("c", "2")):
        (tmp_path / name).write_text(text)
        monkeypatch.setenv("EM_CONFIG", str(tmp_path / name))
        found.append(emscripten.version())
    assert found[0] == found[1] != found[2]
    monkeypatch.setenv("EM_CONFIG", str(tmp_path / "none"))
    assert emscripten.version() == "3.1.50"


def test_there_may_be_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert emscripten.version() is None
