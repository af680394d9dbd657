"""The files that a build leaves and a runtime reads: names, reading, writing.

Knows nothing of how they are made. Writing is atomic: a reader sees the file as it was
before or as it is after, never half of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlcx.errors import BuildError, InputError, Problem

__all__ = [
    "APP_CONFIG",
    "CHAT_CONFIG",
    "COMPILE_CONFIG",
    "LINKERS",
    "STAGING",
    "TENSOR_CACHE",
    "TENSOR_CACHE_B16",
    "library_info",
    "read_json",
    "replacing",
    "write_json",
    "write_text",
]

APP_CONFIG = "mlc-app-config.json"
CHAT_CONFIG = "mlc-chat-config.json"
COMPILE_CONFIG = "compile-config.json"
TENSOR_CACHE = "tensor-cache.json"
TENSOR_CACHE_B16 = "tensor-cache-b16.json"
"""Beside the index when weights are float32: the same, but as they are stored."""

STAGING = ".partial"
"""The folder, in a model directory, in which a conversion gathers its files."""

LINKERS = ("gcc", "cc", "clang", "ld")
"""The programs that link a library, the first one found; any ELF linker serves, as only
objects are linked."""


def library_info(library: Path) -> Path:
    """Return the JSON file beside ``library`` that says what it was made of."""
    return library.with_name(library.name + ".json")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a new temporary name beside ``path`` that becomes ``path`` on success.

    On any exception the temporary file is removed and ``path`` stays as it was.

    Raises:
        BuildError: Nothing can be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise BuildError(f"{path}: cannot be written: {error.strerror}") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 to ``path``, atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode())


def write_json(path: Path, value: object, indent: int = 2) -> None:
    """Write ``value`` as JSON with a final newline to ``path``, atomically."""
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in ``path``.

    Raises:
        InputError: The file is missing, is not UTF-8 or JSON, or holds no object.
    """
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError.in_file(path, f"cannot be read: {error.strerror}") from error
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg}"
        problem = Problem(str(path), error.lineno, error.colno, message)
        raise InputError(problem) from error
    except UnicodeDecodeError as error:
        raise InputError.in_file(path, "not JSON: not UTF-8 text") from error
    if not isinstance(value, dict):
        found = type(value).__name__
        raise InputError.in_file(path, f"expected a JSON object, found {found}")
    return value
