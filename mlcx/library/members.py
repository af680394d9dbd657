"""The files inside a library: of an archive its members, else the library itself."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from mlcx.errors import InputError
from mlcx.library import archive
from mlcx.library.archive import Member

__all__ = ["members", "packaging"]

_TAR = "tar"
_AR = "ar"


def packaging(data: bytes) -> str:
    """Return ``tar`` or ``ar``; empty: ``data`` is no archive."""
    if data.startswith(archive.MAGIC):
        return _AR
    return _TAR if tarfile.is_tarfile(io.BytesIO(data)) else ""


def members(file: Path) -> tuple[str, list[Member]]:
    """Return what holds the library in ``file`` together, and what is in it.

    Archives may be compressed. ``""`` with the file alone says that it is no archive.

    Raises:
        InputError: The file is missing or an archive that is damaged.
    """
    try:
        data = file.read_bytes()
        kind = packaging(data)
        if not kind:
            return kind, [Member(file.name, data)]
        return kind, list(_inside(kind, data))
    except OSError as error:
        raise InputError.in_file(file, f"cannot be read: {error.strerror}") from error
    except (EOFError, ValueError, tarfile.TarError) as error:
        raise InputError.in_file(file, f"a damaged archive: {error}") from error


def _inside(kind: str, data: bytes) -> Iterator[Member]:
    if kind == _AR:
        yield from archive.members(data)
        return
    with tarfile.open(fileobj=io.BytesIO(data)) as packed:
        for each in packed:
            content = packed.extractfile(each)
            if content is not None:
                yield Member(each.name, content.read())
