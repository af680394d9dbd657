"""Archives of objects, made of packed libraries."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlcx.errors import InputError
from mlcx.toolchain import zig

__all__ = ["combine"]


def combine(libraries: Sequence[Path], output: Path, folder: Path) -> None:
    """Make ``output`` of the objects in ``libraries``, which are ``.tar`` files.

    Objects of one name, from one or several libraries, are all kept.

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
            return sorted(_extracted(archive, folder), key=lambda path: path.name)
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise InputError.in_file(library, message) from error
    except (EOFError, tarfile.TarError) as error:
        message = (
            "expected a .tar that mlcx compile made, found no archive or a damaged"
        )
        raise InputError.in_file(library, f"{message} one") from error


def _extracted(archive: tarfile.TarFile, folder: Path) -> Iterator[Path]:
    for number, member in enumerate(archive):
        content = archive.extractfile(member)
        if content is not None:  # a file
            path = folder / str(number) / Path(member.name).name
            path.parent.mkdir()
            path.write_bytes(content.read())
            yield path
