"""Lay out a model directory for an app: its files, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

from mlcx.artifact import (
    CHAT_CONFIG,
    CHECKPOINTS,
    MODEL_CONFIG,
    TENSOR_CACHE,
    TENSOR_CACHE_B16,
    read_json,
)
from mlcx.errors import InputError
from mlcx.package.place import copy, share

__all__ = ["bundle"]

_SHARD = re.compile(r"params_shard_\d+\.bin|tensor-cache-b16\.json")
"""What a bundle may have of an earlier model, whose index may be gone by now."""
_HALF = re.compile(
    r"\.(params_shard_\d+\.bin|tokenizer_model|[a-z0-9_-]+\.(json|txt|model))"
    r"\.[0-9a-f]{8}"
)
"""What a run that was killed may leave."""


def bundle(model: Path, directory: Path) -> None:
    """Make ``directory`` hold the files of the model directory ``model``.

    Shards share their bytes with the model's where the disk can; the small files are
    copies. The index of the weights comes last, and an older one goes first: a
    directory with an index is complete. Files of an earlier bundle are removed, foreign
    files stay: of tokenizers those are removed that the earlier one's config lists.

    Raises:
        InputError: ``model`` is no complete model directory, or is ``directory``, or
            that is a checkpoint's.
        BuildError: The directory cannot be written.
    """
    shards, texts = _shards(model / TENSOR_CACHE), _texts(model / CHAT_CONFIG)
    if directory.exists() and directory.samefile(model):
        message = f"a bundle of it cannot be {directory}, which is the same folder"
        raise InputError.in_file(model, f"{message}: name another one")
    _refuse_checkpoint(directory)
    for name, size in shards.items():
        _check(model / name, size)
    _retract(directory / TENSOR_CACHE, model / TENSOR_CACHE)
    for name in shards:
        share(model / name, directory / name)
    beside = [TENSOR_CACHE_B16] if (model / TENSOR_CACHE_B16).is_file() else []
    files = (*texts, *beside, CHAT_CONFIG, TENSOR_CACHE)
    _remove_stale(directory, {*shards, *files})
    for name in files:
        copy(model / name, directory / name)


def _refuse_checkpoint(directory: Path) -> None:
    """Refuse a checkpoint: with a bundle among its files nobody takes it for one."""
    weights = (directory / name for names in CHECKPOINTS.values() for name in names)
    if (directory / MODEL_CONFIG).is_file() and any(each.is_file() for each in weights):
        message = "expected a folder for a bundle, found a checkpoint: name another one"
        raise InputError.in_file(directory, message)


def _shards(index: Path) -> dict[str, int]:
    try:
        records = read_json(index)["records"]
        return {_plain(each["dataPath"], index): each["nbytes"] for each in records}
    except (KeyError, TypeError) as error:
        message = "expected 'records' with 'dataPath' and 'nbytes' each"
        raise InputError.in_file(index, message) from error


def _texts(config: Path) -> list[str]:
    names = read_json(config).get("tokenizer_files", [])
    if not isinstance(names, list):
        raise InputError.in_file(config, "expected a list 'tokenizer_files'")
    return [_plain(name, config) for name in names]


def _plain(name: object, file: Path) -> str:
    """Return ``name`` if it stays in its folder: a model may come from anywhere."""
    if not isinstance(name, str) or name in {"", ".."} or PurePath(name).name != name:
        raise InputError.in_file(file, f"expected the name of a file, found {name!r}")
    return name


def _check(shard: Path, size: int) -> None:
    if not shard.is_file():
        raise InputError.in_file(shard, "expected a shard of the weights, found none")
    found = shard.stat().st_size
    if found != size:
        message = f"expected {size} bytes, found {found}: convert the weights again"
        raise InputError.in_file(shard, message)


def _retract(index: Path, new: Path) -> None:
    if index.exists() and index.read_bytes() != new.read_bytes():
        index.unlink()


def _remove_stale(directory: Path, wanted: set[str]) -> None:
    """Remove files of an earlier bundle, as long as its config still says so."""
    known = _before(directory / CHAT_CONFIG)
    for path in directory.iterdir():
        name = path.name
        own = name in known or _SHARD.fullmatch(name) or _HALF.fullmatch(name)
        is_file = path.is_symlink() or path.is_file()
        if own and is_file and name not in wanted:
            path.unlink()


def _before(config: Path) -> list[str]:
    """Return the files that an earlier bundle lists; none: there is none to read."""
    try:
        return _texts(config)
    except InputError:
        return []
