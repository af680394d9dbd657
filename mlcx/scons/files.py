"""Which files a step reads of a checkpoint or of a model directory."""

from __future__ import annotations

from pathlib import Path

from mlcx.artifact import CHAT_CONFIG, TENSOR_CACHE, read_json, tokenizer_names
from mlcx.errors import InputError
from mlcx.scons.parts import parts
from mlcx.spec.folder import WEIGHTS

__all__ = ["model_files", "text_files", "tokenizer_files", "weight_files"]

_CONFIG = "config.json"
_TEXTS = {".json", ".model", ".txt", ".jinja", ".tiktoken"}


def text_files(checkpoint: Path) -> list[Path]:
    """Return the files that a model's config can be made of, its own config first."""
    config = checkpoint / _CONFIG
    others = (
        path
        for path in sorted(checkpoint.iterdir())
        if path.suffix in _TEXTS and not path.name.endswith(".index.json")
    )
    return [config, *(path for path in others if path != config)]


def weight_files(checkpoint: Path) -> list[Path]:
    """Return the files that weights are converted from, the config first.

    Raises:
        InputError: The index of the weights is not what it must be.
    """
    named = WEIGHTS["checkpoint"]
    existing = (name for name in named if (checkpoint / name).exists())
    index = checkpoint / next(existing, "model.safetensors")
    if index.suffix != ".json":
        return [checkpoint / _CONFIG, index]
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict):
        raise InputError.in_file(index, "expected an object 'weight_map', found none")
    shards = sorted({str(name) for name in places.values()})
    return [checkpoint / _CONFIG, index, *(checkpoint / name for name in shards)]


def tokenizer_files(checkpoint: Path) -> list[str]:
    """Return the names of the files that a model directory has of a tokenizer."""
    return list(tokenizer_names(checkpoint).all)


def model_files(directory: Path) -> list[Path]:
    """Return the files of a model directory that a bundle is made of.

    Shards whose hash the index holds are left out: the index changes when they do.

    Raises:
        InputError: The index or the config is not what it must be.
    """
    indexes = [directory / TENSOR_CACHE, directory / CHAT_CONFIG]
    listed = (part for index in indexes for part in parts(index))
    return [*indexes, *(part.path for part in listed if not part.hashed)]
