"""Hugging Face checkpoints: the tensors of one safetensors file, or of several."""

from __future__ import annotations

from pathlib import Path

from mlcx.artifact import read_json
from mlcx.errors import InputError, Problem
from mlcx.weights.safetensors import Tensor, read_header

__all__ = ["INDEX", "SINGLE", "find", "read_checkpoint"]

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


def find(source: Path) -> Path:
    """Return the file that ``source`` means: itself, or the one in that directory.

    Raises:
        InputError: There is no safetensors checkpoint.
    """
    if source.is_file():
        return source
    if not source.is_dir():
        raise InputError.in_file(source, "expected a checkpoint here, found nothing")
    for name in (INDEX, SINGLE):
        if (source / name).is_file():
            return source / name
    message = f"expected {SINGLE} or {INDEX} in this directory, found neither"
    if any(source.glob("*.bin")) or any(source.glob("*.pt")):
        message += "; PyTorch's own files are not read: save as safetensors first"
    elif any(source.glob("*.safetensors")):
        message += "; of a checkpoint in several files the index is missing"
    raise InputError.in_file(source, message)


def read_checkpoint(source: Path) -> tuple[Tensor, ...]:
    """Return the tensors of the checkpoint ``source``, in the order of conversion.

    That is: of a single file, the order of the data; of several, the order of the index
    within each, and the files in the order in which the index first names them.

    Args:
        source: A directory, a safetensors file or an index.

    Raises:
        InputError: No checkpoint, or a damaged one; every file is checked.
    """
    path = find(source)
    if path.suffix != ".json":
        return tuple(read_header(path))
    tensors: list[Tensor] = []
    problems: list[Problem] = []
    for file, names in _read_index(path).items():
        found = _select(path.parent / file, names)
        if isinstance(found, InputError):
            problems += found.problems
        else:
            tensors += found
    if problems:
        raise InputError(problems)
    return tuple(tensors)


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


def _select(file: Path, names: list[str]) -> list[Tensor] | InputError:
    """Return the tensors of ``file``: those called ``names`` first, in that order."""
    try:
        found = {tensor.name: tensor for tensor in read_header(file)}
    except InputError as error:
        return error
    missing = [name for name in names if name not in found]
    if missing:
        named = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
        return InputError.in_file(file, f"lacks tensors that the index names: {named}")
    indexed = {name: found[name] for name in names}
    return list((indexed | found).values())
