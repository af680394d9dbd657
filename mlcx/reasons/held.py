"""Whether files hold what a step left in them; read only when they look otherwise.

A shard holds what the md5 in its index says, any other file what its record says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mlcx.errors import InputError
from mlcx.reasons.record import Content
from mlcx.spec.digest import digest_file, state
from mlcx.steps.parts import Part, all_of
from mlcx.steps.requests import Request

__all__ = ["Held", "hold", "linked", "look_again", "made"]


@dataclass(frozen=True)
class Held:
    """What was found of a file that looks otherwise than it did."""

    path: Path
    content: Content | None
    """How it looks now; None: it holds something else."""


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


def _listed(target: Path) -> Iterator[Part]:
    try:
        yield from list(all_of(target)) if target.is_file() else ()
    except InputError:
        yield Part(target, None, False)


def hold(files: Iterable[Part]) -> dict[Path, Content]:
    """Return how ``files`` are; shards are not read, since their index says it."""
    found: dict[Path, Content] = {}
    for part in files:
        if part.path.is_file() and part.path not in found:
            size, *since = state(part.path.stat())
            digest = "" if part.md5 else digest_file(part.path)
            found[part.path] = Content(size, digest, None, *since)
    return found


def look_again(part: Part, before: Content, doubted: bool) -> Held | None:
    """Return what is to be said of a file that was as ``before``; None: nothing.

    One that is ``doubted`` is read although it looks as it did.
    """
    try:
        now = part.path.stat()
    except OSError:
        return None  # what is missing is told elsewhere
    if before.stands(now) and not doubted:
        return None
    size, written, inode = state(now)
    if size != before.size or not _is_as(part, before):
        return Held(part.path, None)
    return Held(part.path, replace(before, written=written, inode=inode))


def _is_as(part: Part, before: Content) -> bool:
    if part.md5:
        return digest_file(part.path, algorithm="md5") == part.md5
    return digest_file(part.path) == before.sha256
