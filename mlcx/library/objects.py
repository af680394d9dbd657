"""The symbols of objects and shared libraries of all platforms, read with LIEF."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlcx.errors import BuildError

try:
    import lief
except ImportError as error:
    message = "LIEF is not installed: pip install 'mlcx[cross]'"
    raise BuildError(message) from error

__all__ = ["Symbol", "defined"]

_MACHO_WEAK = 0x80
"""Bit of a symbol's description: a definition that another one may replace."""


@dataclass(frozen=True, order=True)
class Symbol:
    """A global symbol that is defined, as the format spells it."""

    name: str
    weak: bool = False
    """It gives way to one of the same name elsewhere, without a clash."""


def defined(data: bytes) -> tuple[Symbol, ...] | None:
    """Return the global symbols, sorted; None: no object of a format that LIEF reads.

    WebAssembly is none.
    """
    lief.logging.disable()
    found = lief.parse(data)
    if isinstance(found, lief.ELF.Binary):
        return _sorted(_elf(found))
    if isinstance(found, lief.MachO.Binary):
        return _sorted(_macho(found))
    if isinstance(found, lief.COFF.Binary):
        return _sorted(_coff(found))
    if isinstance(found, lief.PE.Binary):
        return _sorted(_pe(found))
    return None


def _sorted(symbols: Iterator[Symbol]) -> tuple[Symbol, ...]:
    return tuple(sorted(set(symbols)))


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
