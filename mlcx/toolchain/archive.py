"""Archives of objects: made of packed libraries, and read for the symbols they define.

The formats of the index are those of the linkers that read it: GNU's for ELF, and BSD's
for Mach-O.
"""

from __future__ import annotations

import struct
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlcx.errors import InputError
from mlcx.toolchain import zig

__all__ = ["combine", "symbols"]

_MAGIC = b"!<arch>\n"
_HEADER = 60


def combine(libraries: Sequence[Path], output: Path, folder: Path) -> None:
    """Make ``output`` of the objects in ``libraries``, which are ``.tar`` files.

    Objects of one name, from several libraries, are all kept.

    Args:
        libraries: In the order that the archive has them.
        output: To make.
        folder: An empty one, absolute, for the objects.

    Raises:
        BuildError: zig is missing or failed.
        InputError: A library is no such file.
    """
    objects = [
        path
        for index, library in enumerate(libraries)
        for path in _unpack(library, folder / str(index))
    ]
    output.unlink(missing_ok=True)
    zig.run(["ar", "qcs", output.absolute(), *objects], folder)


def _unpack(library: Path, folder: Path) -> list[Path]:
    folder.mkdir()
    try:
        with tarfile.open(library) as archive:
            members = [each for each in archive.getmembers() if each.isfile()]
            for member in members:
                content = archive.extractfile(member)
                assert content is not None
                (folder / Path(member.name).name).write_bytes(content.read())
    except (OSError, tarfile.TarError) as error:
        raise InputError.in_file(library, f"no library in a tar: {error}") from error
    return sorted(folder / Path(member.name).name for member in members)


def symbols(archive: Path) -> list[str]:
    """Return the global symbols that the index of ``archive`` names, as C calls them.

    Raises:
        InputError: It is no archive, or has no index.
    """
    content = archive.read_bytes()
    if content.startswith(_MAGIC):
        for name, body in _members(content):
            if name == "/":
                return _of_gnu(body)
            if name.startswith("__.SYMDEF"):
                # Mach-O puts one underscore before each.
                return [symbol[1:] for symbol in _of_bsd(body)]
    raise InputError.in_file(archive, "expected an archive with an index of symbols")


def _members(content: bytes) -> Iterator[tuple[str, bytes]]:
    at = len(_MAGIC)
    while at < len(content):
        header = content[at : at + _HEADER]
        name, size = header[:16].decode().rstrip(), int(header[48:58])
        body = content[at + _HEADER : at + _HEADER + size]
        if name.startswith("#1/"):
            length = int(name[3:])
            name, body = body[:length].rstrip(b"\0").decode(), body[length:]
        yield name, body
        at += _HEADER + size + size % 2


def _of_gnu(body: bytes) -> list[str]:
    count = struct.unpack_from(">I", body)[0]
    names = body[4 + 4 * count :].split(b"\0")[:count]
    return [name.decode() for name in names]


def _of_bsd(body: bytes) -> list[str]:
    size = struct.unpack_from("<I", body)[0]
    offsets = [pair[0] for pair in struct.iter_unpack("<II", body[4 : 4 + size])]
    texts = body[8 + size :]
    return [texts[at : texts.index(b"\0", at)].decode() for at in offsets]
