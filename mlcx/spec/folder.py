"""What the folder of a model holds, as far as a spec must agree with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path
from typing import Any

from mlcx.architectures.overriding import flatten
from mlcx.artifact import (
    CHAT_CONFIG,
    CHECKPOINTS,
    MODEL_CONFIG,
    TENSOR_CACHE,
    read_json,
)
from mlcx.errors import InputError, Problem
from mlcx.spec.lock import LockedModel
from mlcx.spec.model_config import config_problems
from mlcx.spec.types import SourceKind

__all__ = [
    "CONFIGS",
    "OLD_INDEX",
    "WEIGHTS",
    "ModelFolder",
    "Place",
    "check_files",
    "found_instead",
    "is_file",
    "is_folder",
    "is_text",
    "kind_of",
    "lacks",
    "look_into",
]

CONFIGS: dict[SourceKind, str] = {"mlc": CHAT_CONFIG, "checkpoint": MODEL_CONFIG}
"""Kind to the file that makes a folder one; the first that exists decides."""

WEIGHTS: dict[SourceKind, tuple[str, ...]] = {
    "mlc": (TENSOR_CACHE,),
    "checkpoint": tuple(chain.from_iterable(CHECKPOINTS.values())),
}
"""What a model has one of when it has weights: the first one counts."""

OLD_INDEX = "ndarray-cache.json"
"""What MLC called ``tensor-cache.json`` before 2025; its runtimes have forgotten it."""

_TEXTS = {".json", ".model", ".txt", ".jinja", ".tiktoken"}
_READ = {*_TEXTS, ".safetensors", ".bin"}
"""How the names end of all files that a build reads of a model."""


@dataclass(frozen=True)
class Place:
    """Where a model is: a folder here, or one that the files of a lock come into."""

    path: Path
    kind: SourceKind
    locked: LockedModel | None = None

    def has(self, pattern: str) -> bool:
        """Say whether there is, or will be, a file with a name like ``pattern``."""
        if self.locked is not None:
            names = [file.name for file in self.locked.files]
            return any(fnmatchcase(name, pattern) for name in names)
        return any(map(is_file, self.path.glob(pattern)))

    def __str__(self) -> str:
        return str(self.locked.repository if self.locked else self.path)


@dataclass(frozen=True)
class ModelFolder:
    """What a model's own config says."""

    kind: SourceKind
    quantization: str | None
    """Of its weights; None when they are not quantized by MLC."""
    place: Place
    config: Mapping[str, Any]
    """The file itself."""

    @property
    def has_window(self) -> bool:
        """Say whether attention slides over a window."""
        flat = flatten(self.config)
        sizes = (flat.get("sliding_window_size"), flat.get("sliding_window"))
        return any(isinstance(size, int) and size > 0 for size in sizes)


def is_file(path: Path) -> bool:
    """Say whether ``path`` is a file; one that cannot be looked at is none."""
    # Path.is_file raises for a name that is too long or a folder that is closed.
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Say whether ``path`` is a folder; one that cannot be looked at is none."""
    return os.path.isdir(path)  # noqa: PTH112


def found_instead(path: Path) -> str:
    """Say what is at ``path`` that is no file; empty: a file, or nothing at all.

    Opening a pipe may wait for ever, and reading a device need not end.
    """
    if is_file(path) or not os.path.exists(path):  # noqa: PTH110 (as above)
        return ""
    return "a folder" if is_folder(path) else "a pipe or a device"


def check_files(folder: Path) -> None:
    """Refuse a model whose files are none.

    Raises:
        InputError: Something is called like a file that a build reads, and is none.
    """
    named = (path for path in sorted(folder.iterdir()) if path.suffix in _READ)
    found = {path: found_instead(path) for path in named}
    problems = [
        Problem(str(path), 0, 0, f"expected a file, found {what}")
        for path, what in found.items()
        if what
    ]
    if problems:
        raise InputError(problems)


def is_text(name: str) -> bool:
    """Say whether a model's config may be made of the checkpoint's file ``name``."""
    return Path(name).suffix in _TEXTS and not name.endswith(".index.json")


def kind_of(folder: Path) -> SourceKind | None:
    """Return what ``folder`` holds; None: no model, or no such folder."""
    for kind, name in CONFIGS.items():
        if is_file(folder / name):
            return kind
    return None


def lacks(place: Place) -> str:
    """Say what ``place`` would have if it had weights; empty when it has them."""
    names = WEIGHTS[place.kind]
    if place.locked is not None:
        names = tuple(name for name in names if not name.startswith("pytorch"))
    if any(map(place.has, names)):
        return ""
    if place.has(OLD_INDEX):
        return f"{place} has them under the name {OLD_INDEX}: rename it to {names[0]}"
    why = ", and PyTorch's files, which can hold code, are not taken from the hub"
    hint = why if place.locked is not None and place.kind == "checkpoint" else ""
    return f"{place} has no {' and no '.join(names)}{hint}"


def look_into(place: Place, ready: bool = False) -> ModelFolder:
    """Read the config of the model in ``place``.

    A model directory whose library is ``ready`` may be of any architecture.

    Raises:
        InputError: The config is no JSON object, names no architecture that there is
            or no quantization, or lacks a size, or a folder or a pipe is called like a
            file; holds every problem.
    """
    kind = place.kind
    path = place.path / CONFIGS[kind]
    if place.locked is None:
        check_files(place.path)
        config, file = read_json(path), str(path)
    else:
        config, file = dict(place.locked.config), f"{place}: {path.name}"
    flaws = () if ready and kind == "mlc" else config_problems(config)
    problems = [Problem(file, 0, 0, each) for each in flaws]
    quantization = config.get("quantization") if kind == "mlc" else None
    if kind == "mlc" and not isinstance(quantization, str):
        message = 'expected "quantization" to name the scheme of the weights'
        problems.append(Problem(file, 0, 0, message))
    if problems:
        raise InputError(problems)
    return ModelFolder(kind, quantization, place, config)
