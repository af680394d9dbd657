"""Which files of a repository a build needs: never a pickle, never code."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from mlcx.artifact import (
    CHAT_CONFIG,
    CHECKPOINTS,
    TENSOR_CACHE,
    TENSOR_CACHE_B16,
    TOKENIZER_FILES,
)
from mlcx.errors import UsageError
from mlcx.spec.folder import CONFIGS, OLD_INDEX, is_text
from mlcx.spec.lock import is_plain
from mlcx.spec.types import SourceKind

__all__ = ["RENAMED", "Read", "kind_of", "shards_of", "texts_of"]

RENAMED = {
    OLD_INDEX: TENSOR_CACHE,
    "ndarray-cache-b16.json": TENSOR_CACHE_B16,
}
"""What MLC called files before 2025 to what it calls them, with the same content."""

_INDEX, _SINGLE = CHECKPOINTS["huggingface-safetensor"]

Read = Callable[[str], Mapping[str, Any]]
"""Returns the JSON object in a file of the repository."""


def kind_of(names: Collection[str]) -> SourceKind:
    """Return what a repository with the files ``names`` holds.

    Raises:
        UsageError: No model that can be built.
    """
    for kind, name in CONFIGS.items():
        if name in names:
            return kind
    expected = " nor ".join(reversed(CONFIGS.values()))
    raise UsageError(f"no model to build from: it has neither {expected}")


def texts_of(kind: SourceKind, names: Collection[str], read: Read) -> list[str]:
    """Return the config and the files of the tokenizer, sorted."""
    if kind == "checkpoint":
        return sorted(set(filter(is_text, names)) - RENAMED.keys())
    listed = read(CHAT_CONFIG).get("tokenizer_files", [])
    wanted = TOKENIZER_FILES | {CHAT_CONFIG} | set(listed if _are_texts(listed) else ())
    return sorted(wanted.intersection(names))


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def shards_of(kind: SourceKind, names: Collection[str], read: Read) -> list[str]:
    """Return the files with weights and their index, sorted; none: it has no weights.

    Raises:
        UsageError: The index is not one, or lists what the repository does not have.
    """
    old = kind == "mlc" and TENSOR_CACHE not in names
    ours, b16 = RENAMED if old else RENAMED.values()
    index = ours if kind == "mlc" else _INDEX
    if index not in names:
        return [_SINGLE] if kind == "checkpoint" and _SINGLE in names else []
    try:
        listed = set(_listed(kind, read(index)))
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{index} is no index of weights: {error!r}") from error
    for name in listed:
        _check(index, name, names)
    beside = {b16}.intersection(names) if kind == "mlc" else set()
    return sorted({index, *listed, *beside})


def _listed(kind: SourceKind, index: Mapping[str, Any]) -> Iterator[Any]:
    if kind == "mlc":
        yield from (record["dataPath"] for record in index["records"])
    else:
        yield from index["weight_map"].values()


def _check(index: str, name: object, names: Collection[str]) -> None:
    suffix = ".safetensors" if index == _INDEX else ".bin"
    if not is_plain(name) or not str(name).endswith(suffix):
        message = f"expected names like NAME{suffix}, found {name!r}"
        raise UsageError(f"{index} is not safe to follow: {message}")
    if name not in names:
        raise UsageError(f"{index} lists {name}, which is not in the repository")
