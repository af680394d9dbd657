"""What a program makes depends on nothing that only stands around it."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest

from mlcx.errors import BuildError
from mlcx.toolchain import emscripten, fatbinary, nvrtc, programs, zig

VARIABLES = (
    *(
        "EMCC_CFLAGS",
        "EMCC_STRICT",
        "EM_LLVM_ROOT",
        "EM_COMPILER_WRAPPER",
        "PYTHONPATH",
    ),
    *("CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX"),
    *("LD_RUN_PATH", "GNUTARGET", "LDEMULATION", "SOURCE_DATE_EPOCH"),
    *("ZIG_LIB_DIR", "ZIG_LIBC", "CCC_OVERRIDE_OPTIONS", "NVCC_APPEND_FLAGS", "LANG"),
)
"""Those that tools are known to read."""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that writes what it finds around it, where all of them are set."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "C")
    file = tmp_path / "program"
    file.write_text("#!/bin/sh\nenv > seen\necho one\necho two\ntouch kernels.fatbin\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize("tool", ["emcc", "zig", "fatbinary", "any"])
def test_a_tool_sees_no_variable_that_changes_what_it_makes(
    tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    monkeypatch.setattr(emscripten, "program", lambda: str(program))
    monkeypatch.setattr(zig, "program", lambda: program)
    monkeypatch.setattr(fatbinary, "program", lambda: program)
    program.write_text(program.read_text().replace("seen", str(tmp_path / "seen")))
    match tool:
        case "emcc":
            emscripten.run(["-c", "x.cc"], tmp_path)
        case "zig":
            zig.run(["ld.lld", "x.o"], tmp_path)
        case "fatbinary":
            fatbinary.bind({"sm_80": b""}, {})
        case _:
            programs.run([str(program)], tmp_path, "making")
    lines = (tmp_path / "seen").read_text().splitlines()
    seen = {line.partition("=")[0] for line in lines}
    assert "PATH" in seen
    assert not seen.intersection(VARIABLES)


def test_a_compiler_in_this_process_sees_none_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NVRTC, which has another version of its middle if NV_NVVM_VERSION says so."""
    monkeypatch.setenv("NV_NVVM_VERSION", "2.0")
    monkeypatch.setattr(nvrtc, "home", lambda: tmp_path)
    seen: set[str] = set()

    def library(_: Path) -> ctypes.CDLL:
        seen.update(os.environ)
        raise BuildError("far enough")

    monkeypatch.setattr(nvrtc, "_library", library)
    before = dict(os.environ)
    with pytest.raises(BuildError, match="far enough"):
        nvrtc.compile_source("", "sm_80")
    assert "PATH" in seen
    assert "NV_NVVM_VERSION" not in seen
    assert dict(os.environ) == before


def test_what_is_given_is_seen(tmp_path: Path, program: Path) -> None:
    programs.run([str(program)], tmp_path, "making", {"ZIG_LOCAL_CACHE_DIR": "here"})
    assert "ZIG_LOCAL_CACHE_DIR=here" in (tmp_path / "seen").read_text()


def test_a_failure_has_the_command_and_what_it_said(tmp_path: Path) -> None:
    words = ["sh", "-c", "echo no such object >&2; exit 3"]
    with pytest.raises(BuildError) as caught:
        programs.run(words, tmp_path, "linking")
    command, said = str(caught.value).splitlines()
    assert command.startswith("linking failed: sh -c echo no such")
    assert said == "no such object"


def test_a_program_says_its_first_line(program: Path, tmp_path: Path) -> None:
    program.write_text("#!/bin/sh\necho one\necho two\n")
    assert programs.says(str(program), "--version") == "one"
