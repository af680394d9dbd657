"""Archives as other programs write them: every member, whole, under its whole name."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mlcx.library.archive import Member, members
from mlcx.toolchain import zig

LONG = "a_name_of_more_than_sixteen_bytes.o"


def archived(folder: Path, command: list[str], **content: bytes) -> list[Member]:
    """What is found in an archive of files in ``folder``, by a command before it."""
    names = [name.replace("_dot_", ".") for name in content]
    for name, data in zip(names, content.values(), strict=True):
        (folder / name).write_bytes(data)
    subprocess.run([*command, "x.a", *names], cwd=folder, check=True)
    return list(members((folder / "x.a").read_bytes()))


@pytest.mark.skipif(shutil.which("ar") is None, reason="needs ar")
def test_members_of_any_length_and_name_are_read(tmp_path: Path) -> None:
    content = {"a_dot_o": b"odd", "empty": b"", LONG: b"even"}
    found = archived(tmp_path, ["ar", "q"], **content)
    assert found == [Member("a.o", b"odd"), Member("empty", b""), Member(LONG, b"even")]


@pytest.mark.skipif(shutil.which("ar") is None, reason="needs ar")
def test_members_of_one_name_are_all_read(tmp_path: Path) -> None:
    archived(tmp_path, ["ar", "q"], lib0_dot_o=b"first")
    found = archived(tmp_path, ["ar", "q"], lib0_dot_o=b"second")
    assert found == [Member("lib0.o", b"first"), Member("lib0.o", b"second")]


@pytest.mark.skipif(zig.program() is None, reason="needs ziglang")
@pytest.mark.parametrize("form", ["gnu", "bsd", "darwin"])
def test_archives_of_every_system_are_read(tmp_path: Path, form: str) -> None:
    command = [str(zig.program()), "ar", f"--format={form}", "qcs"]
    found = archived(tmp_path, command, a=b"1", name_with_16_byte=b"22", **{LONG: b"3"})
    assert [member.name for member in found] == ["a", "name_with_16_byte", LONG]
    # Darwin pads members to 8 bytes.
    assert [member.data.rstrip(b"\n\0") for member in found] == [b"1", b"22", b"3"]


@pytest.mark.skipif(shutil.which("ar") is None, reason="needs ar")
def test_an_archive_cut_short_is_refused(tmp_path: Path) -> None:
    archived(tmp_path, ["ar", "q"], a=b"content")
    whole = (tmp_path / "x.a").read_bytes()
    with pytest.raises(ValueError, match="the member at byte 8 is cut off"):
        list(members(whole[:-4]))
    with pytest.raises(ValueError, match="no header of a member at byte 8"):
        list(members(whole[:40]))
    with pytest.raises(ValueError, match="no ar archive"):
        list(members(whole[1:]))
