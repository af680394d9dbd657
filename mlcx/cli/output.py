"""``-o``: where a verb writes; what cannot be is refused before there is any work."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from mlcx.artifact import kind_in_the_way
from mlcx.errors import UsageError

__all__ = ["FOLDER", "output_argument"]

FOLDER = "DIR"
"""What a folder is called in help."""


def output_argument(
    parser: argparse.ArgumentParser, metavar: str, meaning: str, required: bool = True
) -> None:
    """Declare ``-o`` to be a file, or with ``FOLDER`` for a ``metavar`` a folder.

    A link to a file is replaced, not what it leads to. Parsing it raises a UsageError
    where the other one is, or a device, also behind a link, or a file where a folder
    that it lies in would have to be, or when it is empty.
    """
    parser.add_argument(
        "-o",
        "--output",
        type=_folder if metavar == FOLDER else _file,
        required=required,
        metavar=metavar,
        help=meaning,
    )


def _folder(text: str) -> Path:
    path = _path(text)
    _require_folders(path, [path, *path.parents])
    return path


def _file(text: str) -> Path:
    path = _path(text)
    if found := kind_in_the_way(path):
        raise UsageError(f"--output {path}: expected a file, found {found}")
    _require_folders(path, list(path.parents))
    return path


def _path(text: str) -> Path:
    if not text:
        raise UsageError("--output: expected a path, found nothing")
    return Path(text)


def _require_folders(path: Path, folders: list[Path]) -> None:
    for each in folders:
        is_file = os.path.isfile(each)  # noqa: PTH113 (also below what is closed)
        found = "a file" if is_file else kind_in_the_way(each)
        if found not in {"", "a folder"}:
            where = "" if each == path else f"{each}: "
            message = f"{where}expected a folder, found {found}"
            raise UsageError(f"--output {path}: {message}")
