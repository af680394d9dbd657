"""The web runtime is made once of the same, whoever asks."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import mlcx
from mlcx.artifact import write_bytes
from mlcx.signature.compiling import web_runtime
from mlcx.spec.digest import digest_file
from mlcx.web import kept as module
from mlcx.web.kept import kept, place


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A home of its own, and what is made in it, by what takes no minutes."""
    monkeypatch.setenv("MLC_LLM_HOME", str(tmp_path))
    done: list[Path] = []

    def make(output: Path, bitcode: Sequence[Path] = ()) -> None:
        time.sleep(0.2)
        done.append(output)
        write_bytes(output, b"object")

    monkeypatch.setattr(module, "make", make)
    return done


def test_several_that_want_it_at_once_make_it_once(made: list[Path]) -> None:
    announced: list[Path] = []
    with ThreadPoolExecutor() as pool:
        wanted = [pool.submit(kept, (), announced.append) for _ in range(4)]
        paths = {each.result() for each in wanted}
    assert len(made) == len(announced) == len(paths) == 1
    assert made[0].read_bytes() == b"object"
    assert kept() == made[0]
    assert len(made) == 1


@pytest.mark.parametrize("tool", ["emscripten", "zig"])
def test_another_version_of_a_tool_makes_another_one(
    made: list[Path], tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = kept()
    monkeypatch.setattr(getattr(module, tool), "version", lambda: "another")
    assert place() != first
    assert kept() != first
    assert len(made) == 2


def test_other_code_or_headers_make_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they are in a checkout of mlcx that is edited, or another version of it."""
    first = place()
    folders = tuple(tmp_path / folder.name for folder in module._CODE)
    for folder, copy in zip(module._CODE, folders, strict=True):
        shutil.copytree(folder, copy)
    monkeypatch.setattr(module, "_CODE", folders)
    assert place() == first
    found = {first}
    for name, old, new in (
        ("web/runtime.py", "-std=c++17", "-std=c++20"),
        ("toolchain/sysroot.py", '"dlmalloc"', '"emmalloc"'),
        ("toolchain/emscripten.py", "import", "import  "),
        (next((tmp_path / "web").rglob("*.h")), "\n", "\n\n"),
    ):
        file = tmp_path / name
        file.write_text(file.read_text().replace(old, new, 1))
        found.add(place())
    assert len(found) == 5


def test_what_decides_where_it_is_kept_is_in_the_key_of_the_step_too() -> None:
    """``jit`` takes the file at that place for what the step with the key makes."""
    root = Path(mlcx.__file__).parent
    signed = {
        part for fact in web_runtime("webgpu", "auto").facts for part in fact.parts
    }
    code = {(f.relative_to(root).as_posix(), digest_file(f)) for f in module._code()}
    assert code <= signed
    versions = {"apache-tvm", "apache-tvm-ffi", "zig", "emscripten"}
    assert versions <= {name for name, _ in signed}


def test_other_bitcode_makes_another_one(made: list[Path], tmp_path: Path) -> None:
    bitcode = tmp_path / "wasm_runtime.bc"
    bitcode.write_bytes(b"one")
    first = place([bitcode])
    bitcode.write_bytes(b"other")
    assert len({place(), first, place([bitcode])}) == 3
