"""Hugging Face checkpoints: the tensors of one file, or of several with an index."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from mlcx.artifact import CHECKPOINTS, read_json
from mlcx.errors import InputError, Problem
from mlcx.weights.pytorch import SUFFIXES, read_tensors
from mlcx.weights.safetensors import read_header
from mlcx.weights.tensor import Tensor

__all__ = ["find", "read_checkpoint"]


def find(source: Path, kind: str = "auto") -> Path:
    """Return the file that ``source`` means: itself, or the one in that directory.

    Args:
        source: A directory, a file of tensors or an index.
        kind: One of ``CHECKPOINTS``, to look for no other; auto: any.

    Raises:
        InputError: There is no checkpoint.
    """
    if source.is_file():
        return source
    if not source.is_dir():
        gone = "is a link to what is not there; download it again"
        message = "expected a checkpoint here, found nothing"
        raise InputError.in_file(source, gone if source.is_symlink() else message)
    chosen = CHECKPOINTS.values() if kind == "auto" else [CHECKPOINTS[kind]]
    names = [name for each in chosen for name in each]
    there = [path.name for path in source.iterdir()]
    for name in names:
        if name in there:
            return find(source / name)  # A link to nothing is not passed over.
    message = f"expected one of {', '.join(names)} in this directory, found none"
    suffixes = {Path(name).suffix for name in there}
    if not suffixes.isdisjoint({".safetensors", *SUFFIXES}):
        message += "; of a checkpoint in several files the index is missing"
    raise InputError.in_file(source, message)


def read_checkpoint(source: Path) -> tuple[Tensor, ...]:
    """Return the tensors of the checkpoint ``source``, in the order of conversion.

    That is: of a single file, the order of the data; of several, the order of the index
    within each, and the files in the order in which the index first names them. What an
    index has in one file is passed over in others; what it has in none must be in one.

    Args:
        source: A directory, a file of tensors or an index.

    Raises:
        InputError: No checkpoint, or a damaged one; every file is checked.
    """
    path = find(source)
    if path.suffix != ".json":
        return tuple(_read(path))
    tensors: list[Tensor] = []
    problems: list[Problem] = []
    files = _read_index(path)
    indexed = {name for names in files.values() for name in names}
    for file, names in files.items():
        found = _select(path.parent / file, names, indexed)
        if isinstance(found, InputError):
            problems += found.problems
        else:
            tensors += found
    problems += _twice(tensors)
    if problems:
        raise InputError(problems)
    return tuple(tensors)


def _twice(tensors: Iterable[Tensor]) -> Iterator[Problem]:
    """Yield a problem for each of ``tensors`` that an earlier one is called like."""
    first: dict[str, Tensor] = {}
    for tensor in tensors:
        other = first.setdefault(tensor.name, tensor)
        if other is not tensor:
            message = f"holds {tensor.name}, as {other.file.name} does"
            way_out = "name in the index the file to take it from"
            yield Problem(str(tensor.file), 0, 0, f"{message}: {way_out}")


def _read(file: Path) -> list[Tensor]:
    """Return the tensors of one file in their order."""
    return read_tensors(file) if file.suffix in SUFFIXES else read_header(file)


def _read_index(path: Path) -> dict[str, list[str]]:
    """Return each file's name and the names of the tensors that it should hold."""
    weight_map = read_json(path).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        message = "expected an object 'weight_map' from tensor names to file names"
        raise InputError.in_file(path, message)
    files: dict[str, list[str]] = {}
    for name, file in weight_map.items():
        if not isinstance(file, str) or Path(file).name != file:
            message = f"weight_map: expected a file's name for {name}, found {file!r}"
            raise InputError.in_file(path, message)
        files.setdefault(file, []).append(name)
    return files


def _select(
    file: Path, names: list[str], indexed: Container[str]
) -> list[Tensor] | InputError:
    """Return the tensors ``names`` of ``file``, then those that are not ``indexed``."""
    try:
        found = {tensor.name: tensor for tensor in _read(file)}
    except InputError as error:
        return error
    missing = [name for name in names if name not in found]
    if missing:
        named = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
        return InputError.in_file(file, f"lacks tensors that the index names: {named}")
    others = [tensor for name, tensor in found.items() if name not in indexed]
    return [*(found[name] for name in names), *others]
