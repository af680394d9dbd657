"""Files that SCons does not know: those that an index file lists.

Nobody can tell before a conversion how many shards it makes, so the node of SCons is
the index that is written last, and the parts are looked at when the index exists.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlcx.artifact import (
    CHAT_CONFIG,
    STAGING,
    TENSOR_CACHE,
    TENSOR_CACHE_B16,
    read_json,
)
from mlcx.errors import InputError
from mlcx.spec.lock import FETCHED
from mlcx.spec.verified import Verified

__all__ = [
    "Part",
    "all_of",
    "differs",
    "fault",
    "leftovers",
    "listed",
    "made_beside",
    "parts",
    "size_of",
]


_SHARDS = "params_shard_*.bin"
_SHARD = re.compile(r"params_shard_\d+\.bin")
_TEXT = re.compile(r"tokenizer_model|[a-z0-9_-]+\.(json|txt|model)")
"""What else there is in a model directory."""
_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{8}", re.DOTALL)
"""As ``artifact.replacing`` names what becomes a file."""


@dataclass(frozen=True)
class Part:
    """A file that an index lists."""

    path: Path
    size: int | None
    """Bytes, where the index says."""
    hashed: bool
    """Whether the index holds the file's hash, and so changes when the file does."""
    md5: str | None = None
    """The hash, in hexadecimal, where that is what it holds."""


def parts(index: Path) -> list[Part]:
    """Return the files that ``index`` lists; none for a file of another kind.

    Raises:
        InputError: The index cannot be read, or is not what it must be.
    """
    if index.name not in {TENSOR_CACHE, CHAT_CONFIG, FETCHED}:
        return []
    content = read_json(index)
    try:
        if index.name == CHAT_CONFIG:
            names = content.get("tokenizer_files", [])
            return [Part(index.parent / name, None, False) for name in names]
        if index.name == FETCHED:
            files = content["files"]
            return [
                Part(index.parent / each["name"], each["size"], True) for each in files
            ]
        return [_shard(index.parent, record) for record in content["records"]]
    except (KeyError, TypeError) as error:
        raise InputError.in_file(index, f"not a {index.name}: {error!r}") from error


def _shard(directory: Path, record: dict[str, Any]) -> Part:
    path, md5 = directory / record["dataPath"], record.get("md5sum")
    return Part(path, record["nbytes"], "md5sum" in record, md5)


def all_of(target: Path) -> Iterator[Part]:
    """Yield ``target``, and the files that came with it.

    Raises:
        InputError: It is an index that is not what it must be.
    """
    yield Part(target, None, False)
    yield from parts(target)
    # How an index of float32 reads the shards.
    other = target.with_name(TENSOR_CACHE_B16)
    if target.name == TENSOR_CACHE and other.is_file():
        yield Part(other, None, False)


def listed(index: Path) -> list[Path]:
    """Return the files that ``index`` lists; none when it lists none, or is damaged."""
    try:
        return [part.path for part in parts(index)] if index.is_file() else []
    except InputError:
        return []


def size_of(path: Path) -> int:
    """Return the bytes of ``path``; 0 where no file is."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def fault(target: Path) -> str:
    """Say what is wrong with ``target`` or a file that it lists; empty: nothing.

    One is missing or cut, or was fetched and has been written to since.
    """
    try:
        listed = parts(target)
    except InputError as error:
        return str(error)
    verified = Verified(target.parent)
    files = (target, *(part.path for part in listed))
    touched = (path for path in files if verified.is_touched(path.name))
    found = [_fault(part.path, part.size) for part in listed]
    found += [f"{path} was written to since it was fetched" for path in touched]
    return next(filter(None, found), "")


def differs(copy: Path, original: Path) -> str:
    """Say which part of ``copy`` is not as long as the same part of ``original``.

    Empty when all agree, or when the original itself is not complete.
    """
    try:
        made = [part.path for part in parts(original)]
        sizes = {path.name: path.stat().st_size for path in made}
    except (InputError, OSError):
        return ""
    found = (_fault(copy.parent / name, size) for name, size in sizes.items())
    return next(filter(None, found), "")


def _fault(path: Path, size: int | None) -> str:
    try:
        found = path.stat().st_size
    except OSError:
        return f"{path} is missing"
    if size is not None and found != size:
        return f"{path} has {found} bytes, expected {size}"
    return ""


def made_beside(targets: Sequence[Path], copied: Sequence[Path] = ()) -> list[Path]:
    """Return the files that a step made besides its ``targets``.

    Those that an index among the targets lists, the copies of ``copied`` beside an
    index, and what a killed run left. None lies outside the folders of the targets,
    and none is one of ``copied`` itself.
    """
    indexes = [path for path in targets if path.name in {TENSOR_CACHE, CHAT_CONFIG}]
    found = {path for index in indexes for path in _beside(index)}
    for index in indexes:
        found.update(index.with_name(path.name) for path in copied)
        if index.name == TENSOR_CACHE:
            found.update(index.parent.glob(_SHARDS))
            found.update(map(index.with_name, (TENSOR_CACHE_B16, STAGING)))
    return sorted(found.difference(targets, copied)) + leftovers(targets)


def _beside(index: Path) -> list[Path]:
    # A build lists names of files only: all else is somebody's edit, and not ours.
    near = (path for path in listed(index) if _parent(path) == index.parent)
    return [path for path in near if not path.is_dir()]


def _parent(path: Path) -> Path:
    return Path(os.path.normpath(path)).parent


def leftovers(targets: Iterable[Path]) -> list[Path]:
    """Return the temporary files of killed steps that made ``targets``."""
    wanted: dict[Path, set[str]] = {}
    for target in targets:
        wanted.setdefault(target.parent, set()).add(target.name)
    found = (
        folder / name
        for folder, names in wanted.items()
        for name in _hidden(folder)
        if (match := _TEMPORARY.fullmatch(name)) and _is_of(match[1], names)
    )
    return sorted(found)


def _hidden(folder: Path) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if name[0] == "."]  # noqa: PTH208
    except OSError:  # it is not there yet
        return []


def _is_of(name: str, targets: set[str]) -> bool:
    """Whether a step that makes ``targets`` of one folder writes ``name`` there."""
    if name in targets or (TENSOR_CACHE in targets and _SHARD.fullmatch(name)):
        return True
    return {TENSOR_CACHE, CHAT_CONFIG} <= targets and bool(_TEXT.fullmatch(name))
