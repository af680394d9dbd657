"""Digests: what signatures are made of, the same on every machine."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

__all__ = [
    "canonical_json",
    "digest_file",
    "digest_json",
    "digest_sources",
    "source_digests",
    "state",
]

_PACKAGE = Path(__file__).parents[1]
_BLOCK = 1 << 20
_SOURCES = (".py", ".json", ".h")


def canonical_json(value: object) -> str:
    """Return the one text of ``value``: keys sorted, no spaces, ASCII.

    Raises:
        ValueError: A number is not finite, which JSON cannot say.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_json(value: object) -> str:
    """Return the SHA-256 of ``canonical_json(value)``, in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def digest_file(
    path: Path,
    told: Callable[[int], object] = lambda _: None,
    algorithm: str = "sha256",
    start: bytes = b"",
) -> str:
    """Return the SHA-256, or another digest, of the bytes in ``path``, in hexadecimal.

    Args:
        path: The file.
        told: Is told again and again how many more bytes were read, and may raise.
        algorithm: As hashlib calls it.
        start: Of what is hashed, before those bytes.
    """
    digest = hashlib.new(algorithm, start, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            told(len(block))
    return digest.hexdigest()


def state(found: os.stat_result) -> tuple[int, int, int]:
    """Return size, nanoseconds of writing and inode: while they stand, so may a digest.

    Not the time of any change: a hard link to the file changes that.
    """
    return found.st_size, found.st_mtime_ns, found.st_ino


def digest_sources(packages: Iterable[str], root: Path = _PACKAGE) -> str:
    """Return a digest of ``source_digests``: of their names and content."""
    return digest_json(source_digests(packages, root))


def source_digests(packages: Iterable[str], root: Path = _PACKAGE) -> dict[str, str]:
    """Return the digest of each source file of ``packages``, by name, sorted.

    Those are Python files, and what they read as data: JSON, and headers of C++. What
    running a package can load is ``layers.closure`` of it.

    Args:
        packages: Folders or modules below ``root``: ``nn``, ``errors``, ``cli/run``.
        root: The folder of the sources of mlcx.
    """
    names = sorted({name for package in packages for name in _files(root, package)})
    return {name: digest_file(root / name) for name in names}


def _files(root: Path, package: str) -> Iterator[str]:
    """Yield the names, below ``root``, of the sources of ``package``."""
    if (root / f"{package}.py").is_file():
        yield f"{package}.py"
        return
    # Each hit of a library comes by here: texts take a third of the time of paths.
    for folder, _, names in os.walk(root / package):
        below = folder[len(str(root)) + 1 :].replace(os.sep, "/")
        yield from (f"{below}/{name}" for name in names if name.endswith(_SOURCES))
