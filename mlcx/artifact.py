"""Files that builds read and leave, and runtimes read: names, reading, writing.

Knows nothing of how they are made. Writing is atomic: a reader sees the file as it was
before or as it is after, never half of it.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mlcx.errors import BuildError, InputError, Problem

__all__ = [
    "APP_CONFIG",
    "BUILD_NAMES",
    "CHAT_CONFIG",
    "CHAT_TEMPLATES",
    "CHECKPOINTS",
    "COMPILE_CONFIG",
    "GENERATION_CONFIG",
    "LOCK",
    "MANIFEST",
    "MODEL_CONFIG",
    "QUANTIZATION_RECIPE",
    "REPORTS",
    "STAGING",
    "TENSOR_CACHE",
    "TENSOR_CACHE_B16",
    "TOKENIZER",
    "TOKENIZER_FILES",
    "TOKENIZER_MODEL",
    "TokenizerNames",
    "active_ids",
    "byte_characters",
    "is_of_tokenizer",
    "kind_in_the_way",
    "read_json",
    "refuse_pointer",
    "replacing",
    "tokenizer_names",
    "unwritten",
    "write_bytes",
    "write_json",
    "write_text",
]

APP_CONFIG = "mlc-app-config.json"
CHAT_CONFIG = "mlc-chat-config.json"
COMPILE_CONFIG = "compile-config.json"
QUANTIZATION_RECIPE = "quantization_recipe"
"""Key of both of them, beside ``quantization``: what declares that where it is mixed.

MLC's readers take a name for ``quantization``, and pass over keys that are new to them.
"""

MODEL_CONFIG = "config.json"
"""Of a Hugging Face checkpoint."""

GENERATION_CONFIG = "generation_config.json"
"""Beside it: how a model generates."""

CHAT_TEMPLATES = ("chat_template.jinja", "chat_template.json")
"""Where a checkpoint may have its chat template besides: the first counts."""

CHECKPOINTS = {
    "huggingface-safetensor": ("model.safetensors.index.json", "model.safetensors"),
    "huggingface-torch": ("pytorch_model.bin.index.json", "pytorch_model.bin"),
}
"""Format to what a checkpoint has one of, its index or all in one: the first counts."""

TENSOR_CACHE = "tensor-cache.json"
TENSOR_CACHE_B16 = "tensor-cache-b16.json"
"""Beside the index when weights are float32: the same, but as they are stored."""

TOKENIZER = "tokenizer.json"
TOKENIZER_MODEL = "tokenizer_model"
"""RWKV's vocabulary: a MessagePack map of token ids to bytes."""

_TOKENIZER_FILES = (
    "tokenizer.model",
    TOKENIZER,
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "tokenizer_config.json",
)
_OF_TIKTOKEN = (TOKENIZER, "vocab.json", "merges.txt", "special_tokens_map.json")
TOKENIZER_FILES = frozenset({*_TOKENIZER_FILES, *_OF_TIKTOKEN, TOKENIZER_MODEL})
"""All that a model directory may have of a tokenizer, by any of its formats."""

_TIKTOKEN = ".tiktoken"
_RWKV = re.compile(r"rwkv_vocab_v\d{8}\.(txt|json)")

MANIFEST = "manifest.json"
"""What was made of what, in a folder of what is made."""

REPORTS = frozenset({"report.json", "report.md", "report.html"})
"""What a build says of itself there; in no manifest, as it says when."""

BUILD_NAMES = frozenset(
    {
        ".mlcx-build-lock",
        "asked",
        "facts",
        "hashes.json",
        "inputs",
        "journal.jsonl",
        "listed",
        "log",
        "prepare_libs",
        "quality",
        "reference",
        "standing",
        "tmp",
        "valid-specs",
        "web",
    }
)
"""What a build keeps where it works: a model of such a name has its folder apart."""

LOCK = ".mlcx-lock"
"""In a folder of what is made while a build runs; one that was killed leaves it."""

_POINTER = b"version https://git-lfs.github.com/spec/"
"""What a pointer of Git LFS begins with, by its specification."""

_FULL = {errno.ENOSPC, errno.EDQUOT}

STAGING = ".partial"
"""The folder, in a model directory, in which a conversion gathers its files."""


@dataclass(frozen=True)
class TokenizerNames:
    """Which files of a tokenizer a model directory has, in the order of its config."""

    copied: tuple[str, ...]
    """As they are in the checkpoint."""
    made: tuple[str, ...]
    """Converted from ``source``."""
    source: str | None
    """The checkpoint's own format, where there is no tokenizer.json."""

    @property
    def all(self) -> tuple[str, ...]:
        """Return all names."""
        return (*self.copied, *self.made)


def tokenizer_names(
    checkpoint: Path, names: Iterable[str] | None = None
) -> TokenizerNames:
    """Return what a model directory has of the tokenizer in ``checkpoint``.

    Looks at names only, so that a build can know its targets beforehand.

    Args:
        checkpoint: A folder.
        names: Of the files that will be in it; None: of those that are.
    """
    if names is None:
        names = (path.name for path in checkpoint.iterdir() if path.is_file())
    there = sorted(names)
    copied = tuple(name for name in _TOKENIZER_FILES if name in there)
    if TOKENIZER in copied:
        return TokenizerNames(copied, (), None)
    if copied[:1] == ("tokenizer.model",):
        return TokenizerNames(copied, (TOKENIZER,), copied[0])
    for name in there:
        if name.endswith(_TIKTOKEN):
            kept = tuple(each for each in copied if each not in _OF_TIKTOKEN)
            return TokenizerNames(kept, _OF_TIKTOKEN, name)
        if _RWKV.fullmatch(name):
            return TokenizerNames(copied, (TOKENIZER_MODEL,), name)
    return TokenizerNames(copied, (), None)


def is_of_tokenizer(name: str) -> bool:
    """Say whether a tokenizer may be read from a checkpoint's file ``name``."""
    formats = name.endswith(_TIKTOKEN) or _RWKV.fullmatch(name)
    return name in TOKENIZER_FILES or bool(formats)


def active_ids(active_vocab_size: int, vocab_size: int) -> int | None:
    """Return how many ids a model may generate, by its chat config; None: all.

    As in MLC 0 and less mean all, and a tokenizer may have more tokens than the model.
    """
    return min(active_vocab_size, vocab_size) if active_vocab_size > 0 else None


@cache
def byte_characters() -> tuple[str, ...]:
    """Return the printable character that byte-level vocabularies have for each byte.

    They are GPT-2's: printable Latin-1 stands for itself, the other bytes are, in
    order, U+0100 onwards.
    """
    plain = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = itertools.count(0x100)
    return tuple(chr(byte if byte in plain else next(others)) for byte in range(256))


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a new temporary name beside ``path`` that becomes ``path`` on success.

    On any exception the temporary file is removed and ``path`` stays as it was. A link
    is replaced, not what it leads to, which is somebody else's.

    Raises:
        BuildError: Nothing can be written there, the disk is full, or what is there is
            no file.
    """
    if (found := kind_in_the_way(path)) and not path.is_symlink():
        message = f"cannot be written: expected a file, found {found}"
        raise BuildError(f"{path}: {message}")
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
        # Asking for the umask would set it, for all threads.
        rights = temporary.stat().st_mode & 0o666
    except OSError as error:
        raise unwritten(path, error) from error
    try:
        yield temporary
        temporary.chmod(rights)
        temporary.replace(path)
    except OSError as error:
        if error.errno in _FULL or error.filename == str(temporary):
            raise unwritten(path, error) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def kind_in_the_way(path: Path) -> str:
    """Return what ``path`` is, or leads to, that no file can be; empty: nothing is."""
    try:
        mode = path.stat().st_mode
    except OSError:  # nothing, or the writing will say what
        return ""
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISREG(mode):
        return ""
    return "a pipe" if stat.S_ISFIFO(mode) else "a device"


def unwritten(path: Path, error: OSError) -> BuildError:
    """Return what to raise when ``error`` kept ``path`` from being written.

    A write to a disk that is full does not say which file it was for.
    """
    return BuildError(f"{path}: cannot be written: {error.strerror}")


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 to ``path``, atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object, indent: int = 2) -> None:
    """Write ``value`` as JSON with a final newline to ``path``, atomically."""
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=False) + "\n")


def refuse_pointer(path: Path) -> None:
    """Refuse what Git leaves in place of a file that Git LFS has not brought yet.

    Raises:
        InputError: ``path`` is such a pointer; a file that cannot be read is none.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(len(_POINTER))
    except OSError:
        return
    if start == _POINTER:
        message = "a Git LFS pointer, not the file: run git lfs pull in its folder"
        raise InputError.in_file(path, message)


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in ``path``.

    Raises:
        InputError: The file is missing, is not UTF-8 or JSON, holds no object, or
            numbers or lists that Python does not read.
    """
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError.in_file(path, f"cannot be read: {error.strerror}") from error
    except json.JSONDecodeError as error:
        refuse_pointer(path)
        message = f"not JSON: {error.msg}"
        problem = Problem(str(path), error.lineno, error.colno, message)
        raise InputError(problem) from error
    except UnicodeDecodeError as error:
        raise InputError.in_file(path, "not JSON: not UTF-8 text") from error
    except RecursionError as error:
        raise InputError.in_file(path, "lists are nested too deep") from error
    except ValueError as error:  # Python's limit on the digits that it converts
        raise InputError.in_file(path, "a number has too many digits") from error
    if not isinstance(value, dict):
        found = type(value).__name__
        raise InputError.in_file(path, f"expected a JSON object, found {found}")
    return value
