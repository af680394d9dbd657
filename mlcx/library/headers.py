"""What compiled code is, by its first bytes: its format, architecture and platform.

After the formats' specifications: the ELF header, the headers of PE and COFF, and the
header and load commands of Mach-O, in universal files too. Only 64-bit code and
WebAssembly are known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mlcx.library import universal, wasm
from mlcx.library.stream import Stream

__all__ = ["Header", "read"]

_ELF_MACHINES = {62: "x86_64", 183: "aarch64", 243: "riscv64"}
_COFF_MACHINES = {0x8664: "x86_64", 0xAA64: "aarch64"}
_MACHO_MACHINES = {0x01000007: "x86_64", 0x0100000C: "aarch64"}
_PLATFORMS = {1: "macos", 2: "ios", 6: "mac catalyst", 7: "ios simulator"}

_MACHO = b"\xcf\xfa\xed\xfe"
_BUILD_VERSION = 0x32
"""The load command of Mach-O that says platform and oldest version."""


@dataclass(frozen=True)
class Header:
    """What the first bytes say."""

    format: str
    """``ELF``, ``Mach-O``, ``COFF``, ``PE`` or ``WebAssembly``."""
    architecture: str
    """As in a triple: ``x86_64``, ``aarch64``, ``wasm32``; of a universal file all."""
    platform: str = ""
    """What the file says of its system, such as ``ios 14.0``; else empty."""
    slices: tuple[Header, ...] = ()
    """Of a universal file of Macs: the library for each architecture."""


def read(data: bytes) -> Header | None:
    """Return what ``data`` is; None: no code of a known format."""
    for magic, known in _FORMATS:
        if data.startswith(magic):
            try:
                return known(data)
            except ValueError:
                return None
    return None


def _elf(data: bytes) -> Header:
    return Header("ELF", _named(_ELF_MACHINES, _number(data, 18, 2)))


def _pe(data: bytes) -> Header:
    start = _number(data, 60, 4)
    if data[start : start + 4] != b"PE\0\0":
        raise ValueError("a program for DOS")
    return Header("PE", _named(_COFF_MACHINES, _number(data, start + 4, 2)))


def _coff(data: bytes) -> Header:
    if _number(data, 16, 2):
        raise ValueError("an object has no optional header")
    return Header("COFF", _named(_COFF_MACHINES, _number(data, 0, 2)))


def _macho(data: bytes) -> Header:
    machine, commands = _number(data, 4, 4), _number(data, 16, 4)
    stream = Stream(data, 32)
    platform = ""
    for _ in range(commands):
        start = stream.position
        command, size = stream.integer(4), stream.integer(4)
        if command == _BUILD_VERSION:
            system, oldest = stream.integer(4), stream.integer(4)
            name = _named(_PLATFORMS, system)
            platform = f"{name} {oldest >> 16}.{oldest >> 8 & 0xFF}"
        stream.position = start + size
    return Header("Mach-O", _named(_MACHO_MACHINES, machine), platform)


def _universal(data: bytes) -> Header:
    parts = (data[part] for part in universal.slices(data))
    # Others are archives, or for processors of 32 bits.
    found = tuple(_macho(part) for part in parts if part.startswith(_MACHO))
    if not found:
        raise ValueError("no code of a known kind")
    architecture = " and ".join(each.architecture for each in found)
    platforms = dict.fromkeys(each.platform for each in found if each.platform)
    return Header("Mach-O", architecture, " and ".join(platforms), found)


def _wasm(_: bytes) -> Header:
    return Header("WebAssembly", "wasm32")


def _number(data: bytes, position: int, size: int) -> int:
    return Stream(data, position).integer(size)


def _named(names: dict[int, str], code: int) -> str:
    return names.get(code, f"machine {code:#x}")


_FORMATS: tuple[tuple[bytes, Callable[[bytes], Header]], ...] = (
    (b"\x7fELF\x02\x01", _elf),
    (_MACHO, _macho),
    *((magic, _universal) for magic in universal.MAGICS),
    (b"MZ", _pe),
    *((code.to_bytes(2, "little"), _coff) for code in _COFF_MACHINES),
    (wasm.MAGIC, _wasm),
)
"""First bytes of a format to what reads the rest of its header."""
