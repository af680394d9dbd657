"""Digests of files, read once for all of them, and remembered while a file stays."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from mlcx.artifact import write_text
from mlcx.progress import Bar, bar

__all__ = ["Digests", "Ledger", "digests", "integrity"]

_BLOCK = 1 << 20
_SETTLED = 2.0
"""Seconds after which an edit surely gives a file another time stamp."""

Digests = Mapping[str, str]
"""The name of an algorithm, as hashlib has it, to a digest in hexadecimal."""


def digests(paths: Iterable[Path], algorithms: Iterable[str]) -> dict[Path, Digests]:
    """Return the digests of ``paths``, with a bar on a terminal for what is long."""
    wanted = tuple(algorithms)
    sizes = {path: path.stat().st_size for path in paths}
    found: dict[Path, Digests] = {}
    with closing(bar("hashing", sum(sizes.values()), delay=1)) as shown:
        for path in sizes:
            found[path] = _digest(path, wanted, shown)
    return found


def _digest(path: Path, algorithms: tuple[str, ...], shown: Bar) -> Digests:
    made = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            for each in made.values():
                each.update(block)
            shown.update(len(block))
    return {name: each.hexdigest() for name, each in made.items()}


def integrity(sha384: str) -> str:
    """Return a digest as the attribute ``integrity`` of a web page takes it."""
    return f"sha384-{base64.b64encode(bytes.fromhex(sha384)).decode()}"


class Ledger:
    """Digests of files, kept in a file: none is read again while it stays as it is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _read(path)

    def digests(self, paths: Iterable[Path]) -> dict[Path, Digests]:
        """Return the sha256 and sha384 of ``paths``; files of one inode are one."""
        states = {path: path.stat() for path in paths}
        keys = {
            path: f"{state.st_dev}:{state.st_ino}:{state.st_size}:{state.st_mtime_ns}"
            for path, state in states.items()
        }
        missing = {keys[path]: path for path in states if keys[path] not in self._known}
        made = digests(missing.values(), ("sha256", "sha384"))
        self._known.update({key: dict(made[path]) for key, path in missing.items()})
        found: dict[Path, Digests] = {path: self._known[keys[path]] for path in states}
        limit = time.time() - _SETTLED
        self._keep({keys[each] for each in states if states[each].st_mtime < limit})
        return found

    def _keep(self, keys: set[str]) -> None:
        kept = {key: each for key, each in sorted(self._known.items()) if key in keys}
        text = json.dumps(kept, indent=0)
        text = f"{_seal(text)}\n{text}"
        if not self._path.exists() or self._path.read_bytes() != text.encode():
            write_text(self._path, text)


def _read(path: Path) -> dict[str, dict[str, str]]:
    """Return what a ledger wrote; nothing when that is damaged: it is all made anew."""
    try:
        seal, _, text = path.read_text().partition("\n")
        if seal != _seal(text):
            return {}
        found: dict[str, dict[str, str]] = json.loads(text)
    except (OSError, ValueError):
        return {}
    return found


def _seal(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
