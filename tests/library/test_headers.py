"""Headers of compiled code, beside what LIEF makes of the same files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from small_library import INTEL_MAC, macho, universal

from mlcx.library import headers
from mlcx.library.extent import cut_off
from mlcx.library.headers import Header
from mlcx.library.members import members
from mlcx.toolchain import zig

lief = pytest.importorskip("lief")
Build = Callable[..., Path]
NAMES = {
    "AMD64": "x86_64",
    "X86_64": "x86_64",
    "ARM64": "aarch64",
    "AARCH64": "aarch64",
}


def by_lief(data: bytes) -> Header:
    found = lief.parse(data)
    if isinstance(found, lief.MachO.Binary):
        version = found.build_version
        major, minor, _ = version.minos
        platform = f"{version.platform.name.lower().replace('_', ' ')} {major}.{minor}"
        return Header("Mach-O", NAMES[found.header.cpu_type.name], platform)
    if isinstance(found, lief.ELF.Binary):
        return Header("ELF", NAMES[found.header.machine_type.name])
    form = "PE" if isinstance(found, lief.PE.Binary) else "COFF"
    return Header(form, NAMES[found.header.machine.name])


@pytest.mark.skipif(zig.program() is None, reason="needs ziglang")
@pytest.mark.parametrize(
    ("triple", "suffix"),
    [
        ("x86_64-linux-gnu", ".tar"),
        ("aarch64-linux-gnu", ".so"),
        ("arm64-apple-macosx11.0.0", ".dylib"),
        ("arm64-apple-ios18.0-macabi", ".a"),
        ("x86_64-apple-macosx11.0.0", ".tar"),
        ("x86_64-pc-windows-msvc", ".tar"),
        ("x86_64-pc-windows-msvc", ".dll"),
    ],
)
def test_headers_are_read_as_lief_reads_them(
    build: Build, triple: str, suffix: str
) -> None:
    for member in members(build("cpu", triple, suffix))[1]:
        assert headers.read(member.data) == by_lief(member.data)
        assert cut_off(member.data) == ""
        if not triple.endswith("msvc") or suffix == ".dll":
            assert cut_off(member.data[: len(member.data) // 2]).startswith("cut off")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x7fELF\x01\x01" + bytes(60),
        b"\x7fELF\x02\x01",
        b"MZ" + bytes(58) + b"\x04\0\0\0" + bytes(9),
        b"\x64\x86" + bytes(14) + b"\xf0\0",
        b"\xcf\xfa\xed\xfe" + bytes(12) + b"\x02" + bytes(20),
        b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(2000),  # a class of Java
        b"\xca\xfe\xba\xbe\0\0\0\x01" + bytes(20),
        b"\xca\xfe\xba\xbf\0\0\0\x02\1",
    ],
)
def test_what_is_none_or_is_cut_short_is_nothing(data: bytes) -> None:
    assert headers.read(data) is None


@pytest.mark.parametrize("wide", [False, True])
def test_universal_files_are_read_as_lief_reads_them(
    tmp_path: Path, *, wide: bool
) -> None:
    file = tmp_path / "both.dylib"
    objects = macho(), macho(machine=INTEL_MAC)
    file.write_bytes(universal(*objects))
    fat = lief.MachO.parse(str(file))  # which does not know the wider form
    file.write_bytes(universal(*objects, wide=wide))
    expected = [NAMES[each.header.cpu_type.name] for each in fat]
    found = headers.read(file.read_bytes())
    assert found is not None
    assert found.architecture == "aarch64 and x86_64"
    assert [each.architecture for each in found.slices] == expected
    assert cut_off(file.read_bytes()) == ""
    assert cut_off(file.read_bytes()[:-1]).startswith("cut off: expected")
    assert cut_off(file.read_bytes()[:20]) == "cut off, or damaged"


def test_a_machine_that_has_no_name_here_is_told_by_its_number() -> None:
    data = b"\x7fELF\x02\x01" + bytes(12) + b"\x16\x00"
    assert headers.read(data) == Header("ELF", "machine 0x16")
