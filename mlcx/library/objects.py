"""Objects and shared libraries of all platforms: format, architecture, symbols."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import lief

from mlcx.library import wasm

__all__ = ["ObjectFile", "Symbol", "read"]

_MACHO_WEAK = 0x80
"""Bit of a symbol's description: a definition that another one may replace."""

_ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
"""What formats call an architecture to how triples call it."""


@dataclass(frozen=True, order=True)
class Symbol:
    """A global symbol that is defined, as the format spells it."""

    name: str
    weak: bool = False
    """It gives way to one of the same name elsewhere, without a clash."""


@dataclass(frozen=True)
class ObjectFile:
    """Compiled code of one machine."""

    format: str
    """``ELF``, ``Mach-O``, ``COFF``, ``PE`` or ``WebAssembly``."""
    architecture: str
    """As in a triple: ``x86_64``, ``aarch64``, ``wasm32``."""
    platform: str
    """What the file says of its system, such as ``ios 14.0``; else empty."""
    symbols: tuple[Symbol, ...]
    """Sorted; none are read of WebAssembly."""


def read(data: bytes) -> ObjectFile | None:
    """Return what ``data`` is; None: it is no object of a known format."""
    if data.startswith(wasm.MAGIC):
        return ObjectFile("WebAssembly", "wasm32", "", ())
    lief.logging.disable()
    found = lief.parse(data)
    if isinstance(found, lief.ELF.Binary):
        machine = found.header.machine_type.name
        return _made("ELF", machine, _elf(found))
    if isinstance(found, lief.MachO.Binary):
        machine = found.header.cpu_type.name
        return _made("Mach-O", machine, _macho(found), _platform(found))
    if isinstance(found, lief.COFF.Binary):
        return _made("COFF", found.header.machine.name, _coff(found))
    if isinstance(found, lief.PE.Binary):
        return _made("PE", found.header.machine.name, _pe(found))
    return None


def _made(
    form: str, machine: str, symbols: Iterator[Symbol], platform: str = ""
) -> ObjectFile:
    name = machine.lower()
    architecture = _ARCHITECTURES.get(name, name)
    return ObjectFile(form, architecture, platform, tuple(sorted(set(symbols))))


def _elf(binary: lief.ELF.Binary) -> Iterator[Symbol]:
    binding = lief.ELF.Symbol.BINDING
    for each in binary.symbols:
        if each.shndx and each.binding in (binding.GLOBAL, binding.WEAK):
            yield Symbol(str(each.name), each.binding == binding.WEAK)


def _macho(binary: lief.MachO.Binary) -> Iterator[Symbol]:
    for each in binary.symbols:
        if each.category == lief.MachO.Symbol.CATEGORY.EXTERNAL:
            yield Symbol(str(each.name), bool(each.description & _MACHO_WEAK))


def _coff(binary: lief.COFF.Binary) -> Iterator[Symbol]:
    external = lief.COFF.Symbol.STORAGE_CLASS.EXTERNAL
    for each in binary.symbols:
        if each.is_weak_external:
            yield Symbol(str(each.name), True)
        elif each.storage_class == external and each.section_idx > 0:
            yield Symbol(str(each.name))


def _pe(binary: lief.PE.Binary) -> Iterator[Symbol]:
    exported = binary.get_export()
    for each in exported.entries if exported else ():
        yield Symbol(str(each.name))


def _platform(binary: lief.MachO.Binary) -> str:
    version = binary.build_version
    if version is None:
        return ""
    major, minor = version.minos[:2]
    return f"{version.platform.name.lower().replace('_', ' ')} {major}.{minor}"
