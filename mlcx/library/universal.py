"""Universal files of Macs: one library for several architectures, one after another.

After the header in Apple's ``mach-o/fat.h``, whose numbers are big-endian.
"""

from __future__ import annotations

from collections.abc import Iterator

from mlcx.library.stream import Stream

__all__ = ["MAGICS", "slices"]

MAGICS = {b"\xca\xfe\xba\xbe": 4, b"\xca\xfe\xba\xbf": 8}
"""First bytes of such a file to the bytes of an offset in it."""

_MOST = 44
"""Architectures at most: classes of Java begin alike, and their versions with 45."""


def slices(data: bytes) -> Iterator[slice]:
    """Yield where the library for each architecture is; none: it is no such file.

    Raises:
        ValueError: Its header is cut off.
    """
    width = MAGICS[data[:4]]
    stream = Stream(data, 4)
    count = _number(stream, 4)
    for _ in range(count if count <= _MOST else 0):
        stream.take(8)  # the kind of processor, which the library names too
        start, size = _number(stream, width), _number(stream, width)
        stream.take(width)  # the alignment, and in the wider form four bytes more
        yield slice(start, start + size)


def _number(stream: Stream, size: int) -> int:
    return int.from_bytes(stream.take(size), "big")
