"""The index of an archive, as ``ar`` of every system writes it, and cut short."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mlcx.errors import InputError
from mlcx.library.index import symbols

SOURCE = """
int NAME(void) { return 1; }
static int hidden(void) { return 2; }
__attribute__((weak)) int shared(void) { return hidden(); }
"""


def packed(name: str, content: bytes) -> bytes:
    header = f"{name:<16}{'':<32}{len(content):<10}`\n".encode()
    return b"!<arch>\n" + header + content


GNU = packed("/", b"\0\0\0\2" + bytes(8) + b"one\0two\0")
BSD = packed("__.SYMDEF", b"\x08\0\0\0" + bytes(8) + b"\x05\0\0\0_one\0")


@pytest.mark.skipif(not all(map(shutil.which, ("gcc", "ar"))), reason="needs gcc, ar")
def test_a_symbol_is_there_for_each_member_that_defines_it(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.c").write_text(SOURCE.replace("NAME", name))
    for command in (["gcc", "-c", "one.c", "two.c"], ["ar", "qcs", "x.a"]):
        objects = ["one.o", "two.o"] if command[0] == "ar" else []
        subprocess.run([*command, *objects], cwd=tmp_path, check=True)
    assert sorted(symbols(tmp_path / "x.a")) == ["one", "shared", "shared", "two"]


@pytest.mark.parametrize(("data", "found"), [(GNU, ["one", "two"]), (BSD, ["one"])])
def test_both_layouts_are_read(tmp_path: Path, data: bytes, found: list[str]) -> None:
    (tmp_path / "x.a").write_bytes(data)
    assert symbols(tmp_path / "x.a") == found


@pytest.mark.parametrize(
    "data",
    [
        b"text",
        packed("a.o/", b"no index"),
        GNU[:-4],
        packed("/", b"\0"),
        packed("/", b"\0\0\0\2" + bytes(8) + b"one\0"),
        packed("/", b"\xff" * 8),
        packed("__.SYMDEF", b"\x08\0\0\0" + b"\xff" * 8 + b"\0\0\0\0"),
        packed("__.SYMDEF", b"\x07\0\0\0" + bytes(20)),
    ],
)
def test_what_has_no_index_or_a_damaged_one_is_refused(
    tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "x.a").write_bytes(data)
    with pytest.raises(InputError, match=r"x\.a: expected an archive with an index"):
        symbols(tmp_path / "x.a")
