"""``mlcx.lock.json``: which files the models of a folder's specs are, to the byte.

For each repository of the hub its commit, its config, and of each file that a build
needs the size and the SHA-256. The file may come from anywhere, so nothing in it is
believed before it is looked at: above all no name that leads out of a folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlcx.artifact import (
    CHECKPOINTS,
    TENSOR_CACHE,
    TENSOR_CACHE_B16,
    read_json,
    write_text,
)
from mlcx.errors import InputError
from mlcx.spec.hub import MAIN, Repository
from mlcx.spec.types import SourceKind

__all__ = [
    "FETCHED",
    "LOCK",
    "PARTIAL",
    "LockedFile",
    "LockedModel",
    "is_plain",
    "read",
    "write",
]

LOCK = "mlcx.lock.json"
"""Name of the file, beside the specs."""

FETCHED = "fetched-weights.json"
"""Beside weights: their names, sizes and hashes, written once all are there.

A build looks at it instead of hashing them.
"""

PARTIAL = ".partial"
"""The folder of what of a file has come so far, under its hash, beside the files."""

_VERSION = 1
_REMEDY = "mlcx lock makes it anew once it is removed"
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}")
_COMMIT = re.compile("[0-9a-f]{40}")
_SHA256 = re.compile("[0-9a-f]{64}")
_WEIGHTS = (".safetensors", ".bin")
_INDEXES = {TENSOR_CACHE, TENSOR_CACHE_B16, CHECKPOINTS["huggingface-safetensor"][0]}
_KINDS: dict[str, SourceKind] = {"checkpoint": "checkpoint", "mlc": "mlc"}


@dataclass(frozen=True, order=True)
class LockedFile:
    """One file; its name has no folder in it."""

    name: str
    size: int
    sha256: str
    source: str = ""
    """Its name in the repository, where that is another one."""

    @property
    def remote(self) -> str:
        """Its name in the repository."""
        return self.source or self.name

    @property
    def is_weights(self) -> bool:
        """Whether it holds weights or says where they are; else it is a text."""
        return self.name.endswith(_WEIGHTS) or self.name in _INDEXES


@dataclass(frozen=True)
class LockedModel:
    """What a repository was when it was locked."""

    repository: Repository
    commit: str
    kind: SourceKind
    config: Mapping[str, Any]
    """Its ``config.json`` or ``mlc-chat-config.json``, which planning needs."""
    files: tuple[LockedFile, ...]

    @property
    def unreachable(self) -> str:
        """Why an app does not find it on the hub, as a clause; empty: it does.

        MLC's apps download from the main branch, what is there under today's names.
        """
        if self.kind == "checkpoint":
            return "the app cannot download what is made here of a checkpoint"
        if self.repository.revision != MAIN:
            return f"the app downloads the branch {MAIN} and no other revision"
        if any(file.source for file in self.files):
            return "the app does not know the names that files had before 2025"
        return ""

    @property
    def texts(self) -> tuple[LockedFile, ...]:
        """Return the files that compiling needs, and a conversion besides weights."""
        return tuple(file for file in self.files if not file.is_weights)

    @property
    def weights(self) -> tuple[LockedFile, ...]:
        """Return the files with weights, and their indexes."""
        return tuple(file for file in self.files if file.is_weights)


def is_plain(name: object) -> bool:
    """Say whether ``name`` is that of a file in a folder, on every system."""
    return isinstance(name, str) and bool(_PLAIN.fullmatch(name))


def read(path: Path) -> dict[str, LockedModel]:
    """Return the models in the lock file ``path`` by key; none where there is no file.

    Raises:
        InputError: It is not what ``write`` writes.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    # A plan asks once for each of its models.
    return _read(path, found.st_mtime_ns, found.st_size, found.st_ino)


def write(path: Path, models: Iterable[LockedModel]) -> None:
    """Write ``models`` to ``path``, atomically: equal models give equal bytes."""
    entries = {model.repository.key: _entry(model) for model in models}
    content = {"version": _VERSION, "models": entries}
    write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def _entry(model: LockedModel) -> dict[str, object]:
    files = {each.name: _file(each) for each in model.files}
    return {
        "commit": model.commit,
        "config": model.config,
        "files": files,
        "kind": model.kind,
    }


def _file(file: LockedFile) -> dict[str, object]:
    renamed = {"source": file.source} if file.source else {}
    return {"sha256": file.sha256, "size": file.size, **renamed}


@lru_cache(maxsize=8)
def _read(path: Path, *_: int) -> dict[str, LockedModel]:
    try:
        content = read_json(path)
    except InputError as error:
        raise InputError.in_file(path, f"is damaged: {error}: {_REMEDY}") from error
    if content.get("version") != _VERSION:
        found = json.dumps(content.get("version"))
        message = f"expected version {_VERSION}, found {found}: {_REMEDY}"
        raise InputError.in_file(path, message)
    models = content.get("models")
    if not isinstance(models, dict):
        message = f"expected an object 'models': {_REMEDY}"
        raise InputError.in_file(path, message)
    return {key: _model(path, key, entry) for key, entry in models.items()}


def _model(path: Path, key: str, entry: Any) -> LockedModel:
    repository = Repository.of_key(key)
    try:
        if repository is None or not _COMMIT.fullmatch(entry["commit"]):
            raise ValueError("no commit")
        config, names = entry["config"], entry["files"]
        if not isinstance(config, dict) or not names:
            raise ValueError("no config")
        files = tuple(_locked(name, each) for name, each in sorted(names.items()))
        if len({file.name.lower() for file in files}) < len(files):
            raise ValueError("names that differ in case alone")
        kind = _KINDS[entry["kind"]]
        return LockedModel(repository, entry["commit"], kind, config, files)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"the entry of {key!r} is damaged ({error}): {_REMEDY}"
        raise InputError.in_file(path, message) from error


def _locked(name: str, entry: Any) -> LockedFile:
    if not is_plain(name):
        raise ValueError(f"{name!r} is not the name of a file in the model's folder")
    size, sha256 = entry["size"], entry["sha256"]
    if type(size) is not int or size < 0 or not _SHA256.fullmatch(sha256):
        raise ValueError(f"{name} has no size or no sha256")
    source = entry.get("source", "")
    if source != "" and not is_plain(source):
        raise ValueError(f"{source!r} is not the name of a file in a repository")
    return LockedFile(name, size, sha256, source)
