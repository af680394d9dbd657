"""WebAssembly: what its memory holds at the start, and its sections.

After the core specification's binary format, of which this reads what a library says
something in.
"""

from __future__ import annotations

from collections.abc import Iterator

from mlcx.library.stream import Stream

__all__ = ["MAGIC", "memory", "number", "sections"]

MAGIC = b"\0asm\1\0\0\0"
_DATA = 11
_CONST, _END = 0x41, 0x0B
_PASSIVE, _ANY_MEMORY = 1, 2
_MOST = 1 << 30
"""Bytes from the first to the last that is set; engines allow no more than 4 GiB."""


def memory(data: bytes) -> bytes:
    """Return what the memory holds, from the first byte that is set to the last.

    Optimizers cut data apart where there are zeros; here it is whole again.

    Raises:
        ValueError: This is no WebAssembly, or it is damaged.
    """
    parts = list(_segments(data))
    if not parts:
        return b""
    first = min(offset for offset, _ in parts)
    last = max(offset + len(part) for offset, part in parts)
    if last - first > _MOST:
        raise ValueError("its data is farther apart than memory is large")
    image = bytearray(last - first)
    for offset, part in parts:
        image[offset - first : offset - first + len(part)] = part
    return bytes(image)


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the active segments of data: offset and content."""
    for kind, section in sections(data):
        if kind != _DATA:
            continue
        stream = Stream(section)
        for _ in range(number(stream)):
            flags = number(stream)
            if flags == _ANY_MEMORY:
                number(stream)
            offset = None if flags == _PASSIVE else _constant(stream)
            content = stream.take(number(stream))
            if offset is not None:
                yield offset, content


def sections(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the sections of a module: kind and content.

    Raises:
        ValueError: This is no WebAssembly, or it is damaged.
    """
    if not data.startswith(MAGIC):
        raise ValueError("no WebAssembly")
    stream = Stream(data, len(MAGIC))
    while stream.position < len(data):
        kind = stream.integer(1)
        yield kind, stream.take(number(stream))


def _constant(stream: Stream) -> int:
    """Return the value of the expression ``i32.const``, as an address."""
    if stream.integer(1) != _CONST:
        raise ValueError("an offset that is no constant")
    value = number(stream, signed=True)
    if stream.integer(1) != _END:
        raise ValueError("an offset that is no constant")
    return value % (1 << 32)


def number(stream: Stream, signed: bool = False) -> int:
    """Return an integer in LEB128, and go past it."""
    value = shift = 0
    while True:
        byte = stream.integer(1)
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if signed and byte & 0x40:
        value -= 1 << shift
    return value
