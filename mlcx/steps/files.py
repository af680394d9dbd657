"""Which files a step reads of a checkpoint or of a model directory.

Of one that is fetched the lock file tells them, since they may not be here yet.
"""

from __future__ import annotations

from pathlib import Path

from mlcx.artifact import (
    CHAT_CONFIG,
    CHAT_TEMPLATES,
    CHECKPOINTS,
    GENERATION_CONFIG,
    MODEL_CONFIG,
    TENSOR_CACHE,
    is_of_tokenizer,
    read_json,
    tokenizer_names,
)
from mlcx.errors import InputError
from mlcx.spec.folder import WEIGHTS, check_files
from mlcx.spec.lock import FETCHED
from mlcx.spec.types import Fetched
from mlcx.steps.parts import parts

__all__ = [
    "fetched_weights",
    "model_files",
    "text_files",
    "tokenizer_files",
    "weight_files",
]


_, _SINGLE = CHECKPOINTS["huggingface-safetensor"]


def fetched_weights(fetched: Fetched) -> Path:
    """Return the file that is there when all weights of a fetched model are."""
    return fetched.directory / (TENSOR_CACHE if fetched.kind == "mlc" else FETCHED)


def text_files(checkpoint: Path, fetched: Fetched | None = None) -> list[Path]:
    """Return the files that a model's config can be made of, its own config first.

    Raises:
        InputError: A folder or a pipe is called like a file.
    """
    config = checkpoint / MODEL_CONFIG
    if fetched is not None:
        names = [name for name, _ in fetched.texts]
    else:
        check_files(checkpoint)
        names = sorted(path.name for path in checkpoint.iterdir())
    return [config, *(checkpoint / name for name in names if _is_read(name))]


def _is_read(name: str) -> bool:
    """Say whether a model's config may be made of ``name``, besides its own config."""
    return name in {GENERATION_CONFIG, *CHAT_TEMPLATES} or is_of_tokenizer(name)


def weight_files(checkpoint: Path, fetched: Fetched | None = None) -> list[Path]:
    """Return the files that weights are converted from, the config first.

    Raises:
        InputError: The index of the weights is not what it must be.
    """
    if fetched is not None:
        return [checkpoint / MODEL_CONFIG, fetched_weights(fetched)]
    named = WEIGHTS["checkpoint"]
    existing = (name for name in named if (checkpoint / name).exists())
    index = checkpoint / next(existing, _SINGLE)
    if index.suffix != ".json":
        return [checkpoint / MODEL_CONFIG, index]
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict):
        raise InputError.in_file(index, "expected an object 'weight_map', found none")
    shards = sorted({str(name) for name in places.values()})
    return [checkpoint / MODEL_CONFIG, index, *(checkpoint / name for name in shards)]


def tokenizer_files(checkpoint: Path, fetched: Fetched | None = None) -> list[str]:
    """Return the names of the files that a model directory has of a tokenizer."""
    names = None if fetched is None else [name for name, _ in fetched.texts]
    return list(tokenizer_names(checkpoint, names).all)


def model_files(directory: Path, fetched: Fetched | None = None) -> list[Path]:
    """Return the files of a model directory that a bundle is made of.

    Shards whose hash the index holds are left out: the index changes when they do.

    Raises:
        InputError: The index or the config is not what it must be.
    """
    indexes = [directory / TENSOR_CACHE, directory / CHAT_CONFIG]
    if fetched is not None:
        texts = (directory / name for name, _ in fetched.texts)
        return [*indexes, *(path for path in texts if path not in indexes)]
    listed = (part for index in indexes for part in parts(index))
    return [*indexes, *(part.path for part in listed if not part.hashed)]
