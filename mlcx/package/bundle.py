"""Lay out a model directory for an app: its files, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

from mlcx.artifact import CHAT_CONFIG, TENSOR_CACHE, TENSOR_CACHE_B16, read_json
from mlcx.errors import InputError
from mlcx.package.place import copy, share

__all__ = ["bundle"]

_MADE = re.compile(
    r"params_shard_\d+\.bin|tensor-cache(-b16)?\.json|mlc-chat-config\.json"
    r"|tokenizer\.(model|json)|tokenizer_config\.json|tokenizer_model"
    r"|vocab\.json|merges\.txt|added_tokens\.json|special_tokens_map\.json"
    r"|\.(params_shard_\d+\.bin|[a-z0-9_-]+\.(json|txt|model))\.\w{8}"
)
"""Names that a bundle may have of an earlier model, or of a run that was killed."""


def bundle(model: Path, directory: Path) -> None:
    """Make ``directory`` hold the files of the model directory ``model``.

    Shards share their bytes with the model's where the disk can; the small files are
    copies. The index of the weights comes last, and an older one goes first: a
    directory with an index is complete. Files of an earlier bundle are removed, foreign
    files stay.

    Raises:
        InputError: ``model`` is not a complete model directory.
        BuildError: The directory cannot be written.
    """
    shards, texts = _shards(model / TENSOR_CACHE), _texts(model / CHAT_CONFIG)
    for name, size in shards.items():
        _check(model / name, size)
    _retract(directory / TENSOR_CACHE, model / TENSOR_CACHE)
    for name in shards:
        share(model / name, directory / name)
    beside = [TENSOR_CACHE_B16] if (model / TENSOR_CACHE_B16).is_file() else []
    files = (*texts, *beside, CHAT_CONFIG, TENSOR_CACHE)
    for name in files:
        copy(model / name, directory / name)
    _remove_stale(directory, {*shards, *files})


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
    for path in directory.iterdir():
        if path.name not in wanted and _MADE.fullmatch(path.name):
            path.unlink()
