"""Symbols of static libraries: those that nm lists, and what clashes."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mlcx.errors import InputError
from mlcx.toolchain import zig

pytest.importorskip("lief")
from mlcx.library.objects import Symbol
from mlcx.library.symbols import Defined, clashes, symbols

Build = Callable[..., Path]

SOURCE = """
int NAME(void) { return 1; }
int NAME_data;
static int hidden(void) { return 2; }
__attribute__((weak)) int shared(void) { return hidden(); }
int elsewhere(void);
int NAME_calls(void) { return elsewhere(); }
"""
needs_gcc = pytest.mark.skipif(
    not all(map(shutil.which, ("gcc", "ar", "nm"))), reason="needs gcc, ar and nm"
)
needs_zig = pytest.mark.skipif(zig.program() is None, reason="needs ziglang")


def compiled(folder: Path, *names: str) -> Path:
    """An archive of a member for each name, which defines what begins with that."""
    for index, name in enumerate(names):
        part = folder / str(index)
        part.mkdir()
        (part / "lib0.c").write_text(SOURCE.replace("NAME", name))
        subprocess.run(["gcc", "-c", "lib0.c"], cwd=part, check=True)
        subprocess.run(["ar", "q", "../x.a", "lib0.o"], cwd=part, check=True)
    return folder / "x.a"


@needs_gcc
def test_the_symbols_are_those_that_nm_lists(tmp_path: Path) -> None:
    archive = compiled(tmp_path, "one", "two")
    command = ["nm", "--defined-only", "--extern-only", "--format=posix", str(archive)]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line.split() for line in listed.stdout.splitlines() if "[" not in line]
    expected = sorted(Symbol(name, kind in "WV") for name, kind, *_ in rows)
    assert len(expected) == 8
    assert sorted(each.symbol for each in symbols(archive)) == expected


@needs_gcc
def test_two_models_of_one_prefix_clash_and_weak_symbols_do_not(tmp_path: Path) -> None:
    found = symbols(compiled(tmp_path, "same", "same", "other"))
    assert Defined("lib0.o (2)", Symbol("same")) in found
    both = ("lib0.o", "lib0.o (2)")
    names = ("same", "same_calls", "same_data")
    assert clashes(found) == dict.fromkeys(names, both)


@needs_zig
def test_a_static_library_defines_what_a_runtime_looks_for(build: Build) -> None:
    archive = build("metal", "arm64-apple-ios14.0", ".a", "tiny_")
    found = {each.symbol.name for each in symbols(archive)}
    assert {
        "_tiny___tvm_ffi__library_bin",
        "_tiny___tvm_ffi__library_ctx",
        "___tvm_ffi_tiny_add",
    } <= found
    assert clashes(symbols(archive)) == {}


@needs_zig
def test_an_archive_and_the_objects_in_a_tar_define_the_same(build: Build) -> None:
    triple = "aarch64-linux-android24"
    one, other = (build("opencl", triple, suffix, "a_") for suffix in (".a", ".tar"))
    assert symbols(one) == symbols(other)


def test_a_member_that_is_no_object_is_named(tmp_path: Path) -> None:
    (tmp_path / "note").write_text("text")
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(tmp_path / "note", "note")
    with pytest.raises(InputError, match="its member note is no object"):
        symbols(tmp_path / "x.tar")
