"""How often a module of WebAssembly calls a function of its runtime."""

from __future__ import annotations

from mlcx.library.stream import Stream
from mlcx.library.wasm import number, sections

__all__ = ["calls"]

_EXPORTS = 7
_FUNCTION = 0
_CALL = b"\x10"
_PADDED = 5
"""Bytes that linkers leave for an index, as they know it last."""


def calls(module: bytes, name: str) -> int:
    """Return how many calls there are of the function that is exported as ``name``.

    Only calls as a linker writes them count, whose index takes five bytes.

    Raises:
        KeyError: No such function is exported.
    """
    return module.count(_CALL + _padded(_exports(module)[name]))


def _exports(module: bytes) -> dict[str, int]:
    """Return the index of each function that is exported."""
    found: dict[str, int] = {}
    for kind, section in sections(module):
        stream = Stream(section)
        for _ in range(number(stream) if kind == _EXPORTS else 0):
            name = stream.take(number(stream)).decode()
            what, index = stream.integer(1), number(stream)
            if what == _FUNCTION:
                found[name] = index
    return found


def _padded(index: int) -> bytes:
    """Return an index in LEB128, of as many bytes as the largest takes."""
    parts = [index >> 7 * place & 0x7F for place in range(_PADDED)]
    return bytes([*(part | 0x80 for part in parts[:-1]), parts[-1]])
