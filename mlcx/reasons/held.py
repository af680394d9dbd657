"""Whether files hold what a step left in them; read only when they look otherwise.

A shard holds what the md5 in its index says, any other file what its record says.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mlcx.errors import InputError
from mlcx.reasons.record import Content, Record
from mlcx.spec.digest import digest_file, state
from mlcx.steps.parts import Part, all_of
from mlcx.steps.requests import Request

__all__ = ["Files", "Held", "hold", "linked", "made"]


@dataclass(frozen=True)
class Files:
    """What a record says of files, without the values in them."""

    target: str
    sources: Mapping[str, Content]
    made: Mapping[str, Content]

    @classmethod
    def of(cls, record: Record) -> Files:
        """Return what ``record`` says."""
        plain = {name: replace(it, values=None) for name, it in record.sources.items()}
        return cls(record.target, plain, record.files)


class Held:
    """What was found of files in one run, each of which is read once."""

    def __init__(self, name: Callable[[Path], str]) -> None:
        """Let ``name`` return what records call a file."""
        self.doubted: set[Path] = set()
        """Files to be read although they look as they did."""
        self._name = name
        self._right: dict[str, dict[str, Content]] = {}

    def right(self, target: str) -> Mapping[str, Content]:
        """Return how files of ``target`` look that were read, and found right."""
        return self._right.get(target, {})

    def altered(self, last: Files, parts: Iterable[Part]) -> str:
        """Say which of ``parts`` holds something else than in ``last``; empty: none."""
        for part in parts:
            name = self._name(part.path)
            before = self.right(last.target).get(name, last.made.get(name))
            found = None if before is None else _stat(part.path)
            # What is missing is told elsewhere.
            if before is None or found is None:
                continue
            if before.stands(found) and part.path not in self.doubted:
                continue
            if found.st_size != before.size or not _is_as(part, before):
                return name
            self.doubted.discard(part.path)
            _, written, inode = state(found)
            now = replace(before, written=written, inode=inode)
            self._right.setdefault(last.target, {})[name] = now
        return ""


def made(request: Request) -> list[Part]:
    """Return the files that ``request`` makes; none that other builds may make too.

    What is damaged so that it does not say which those are, has none.
    """
    found = () if request.is_shared else request.targets
    return [part for target in found for part in _listed(target)]


def linked(request: Request) -> list[Part]:
    """Return the shards whose bytes ``request`` shares, and does not read."""
    read = request.sources if request.verb == "bundle" else ()
    return [part for source in read for part in _listed(source) if part.md5]


def hold(files: Iterable[Part]) -> dict[Path, Content]:
    """Return how ``files`` are; shards are not read, since their index says it."""
    found: dict[Path, Content] = {}
    for part in files:
        if part.path.is_file() and part.path not in found:
            size, *since = state(part.path.stat())
            digest = "" if part.md5 else digest_file(part.path)
            found[part.path] = Content(size, digest, None, *since)
    return found


def _listed(target: Path) -> Iterator[Part]:
    try:
        yield from list(all_of(target)) if target.is_file() else ()
    except InputError:
        yield Part(target, None, False)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _is_as(part: Part, before: Content) -> bool:
    if part.md5:
        return digest_file(part.path, algorithm="md5") == part.md5
    return digest_file(part.path) == before.sha256
