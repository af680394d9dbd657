"""The symbols that the index of an archive names, as GNU writes it, and BSD for Mach-O.

That is what a linker reads: the global symbols of all members.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from mlcx.errors import InputError
from mlcx.library.archive import entries

__all__ = ["symbols"]


def symbols(archive: Path) -> list[str]:
    """Return the names, as C has them; one that two members define is there twice.

    Raises:
        InputError: It is no archive, is damaged, or has no index.
    """
    try:
        for name, content in entries(archive.read_bytes()):
            if read := _READERS.get(name):
                return read(content)
    except (ValueError, struct.error) as error:
        message = f"expected an archive with an index of symbols: {error}"
        raise InputError.in_file(archive, message) from error
    raise InputError.in_file(archive, "expected an archive with an index of symbols")


def _of_gnu(content: bytes) -> list[str]:
    count = struct.unpack_from(">I", content)[0]
    *names, _ = content[4 + 4 * count :].split(b"\0", count)
    if len(names) < count:
        raise ValueError("its index is cut off")
    return [name.decode() for name in names]


def _of_bsd(content: bytes) -> list[str]:
    size = struct.unpack_from("<I", content)[0]
    pairs = struct.iter_unpack("<II", content[4 : 4 + size])
    texts = content[8 + size :]
    names = (texts[at : texts.index(b"\0", at)].decode() for at, _ in pairs)
    # Mach-O puts one underscore before each.
    return [name.removeprefix("_") for name in names]


_READERS: dict[str, Callable[[bytes], list[str]]] = {
    "/": _of_gnu,
    "__.SYMDEF": _of_bsd,
    "__.SYMDEF SORTED": _of_bsd,
}
"""Name of a member to how the index in it is laid out."""
