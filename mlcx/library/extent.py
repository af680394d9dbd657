"""Where compiled code ends, as its headers say it: a file cut off is told by that.

After the formats' specifications: the tables of ELF, the segments of Mach-O, the
sections of PE, COFF and WebAssembly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mlcx.library import universal, wasm
from mlcx.library.stream import Stream

__all__ = ["cut_off"]

_SEGMENT_64 = 0x19
"""The load command of Mach-O that maps a part of the file."""
_HEADER = 64
"""Bytes of an ELF file's header, and of the one that PE begins with."""


def cut_off(data: bytes) -> str:
    """Say that ``data`` is not all of a file; empty: it is, or no known code."""
    for magic, ends in _FORMATS:
        if data.startswith(magic):
            try:
                expected = max(ends(data))
            except ValueError:
                return "cut off, or damaged"
            if len(data) < expected:
                found = len(data)
                return f"cut off: expected {expected} bytes or more, found {found}"
    return ""


def _elf(data: bytes) -> Iterator[int]:
    yield _HEADER
    if len(data) < _HEADER:
        return
    for start, size in ((32, 54), (40, 58)):
        each, count = _number(data, size, 2), _number(data, size + 2, 2)
        yield _number(data, start, 8) + each * count


def _macho(data: bytes) -> Iterator[int]:
    stream = Stream(data, 32)
    for _ in range(_number(data, 16, 4)):
        start = stream.position
        command, size = stream.integer(4), stream.integer(4)
        if command == _SEGMENT_64:
            yield _number(data, start + 40, 8) + _number(data, start + 48, 8)
        stream.position = start + size
    yield stream.position


def _universal(data: bytes) -> Iterator[int]:
    yield 0  # a class of Java has no parts
    for part in universal.slices(data):
        yield part.stop


def _pe(data: bytes) -> Iterator[int]:
    yield from _sections(data, _number(data, 60, 4) + 4)


def _sections(data: bytes, start: int) -> Iterator[int]:
    """Yield the ends of sections; ``start`` is where the header of COFF is."""
    count, optional = _number(data, start + 2, 2), _number(data, start + 16, 2)
    table = start + 20 + optional
    yield table + 40 * count
    for row in range(table, table + 40 * count, 40):
        yield _number(data, row + 16, 4) + _number(data, row + 20, 4)


def _wasm(data: bytes) -> Iterator[int]:
    for _ in wasm.sections(data):
        pass
    yield len(data)


def _number(data: bytes, position: int, size: int) -> int:
    return Stream(data, position).integer(size)


_FORMATS: tuple[tuple[bytes, Callable[[bytes], Iterator[int]]], ...] = (
    (b"\x7fELF\x02\x01", _elf),
    (b"\xcf\xfa\xed\xfe", _macho),
    *((magic, _universal) for magic in universal.MAGICS),
    (b"MZ", _pe),
    (wasm.MAGIC, _wasm),
)
"""First bytes of a format to what yields the ends of its parts."""
