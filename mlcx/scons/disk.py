"""Refuse a build for which a disk has too little room, before it begins."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mlcx.errors import BuildError
from mlcx.report.units import size
from mlcx.steps.disk import downloads, written
from mlcx.steps.requests import Request

__all__ = ["check"]

_ELSEWHERE = {"bundle", "fetch"}
"""Verbs whose files may be links: what they made earlier is not what they write."""
_SHOWN = 3
"""Steps that a refusal names, those that write the most."""


def check(
    asked: Iterable[Request],
    before: Callable[[Request], int | None],
    free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
) -> None:
    """Add up, disk by disk, what is made that is not there.

    Args:
        asked: All requests.
        before: Returns the bytes that a request made in an earlier run, if it did.
        free: Returns the bytes that the disk of a folder has left.

    Raises:
        BuildError: A disk has too little room.
    """
    requests = [*asked]
    coming = downloads(requests)
    disks: dict[int, list[tuple[int, Request]]] = {}
    for request in requests:
        if not request.targets[0].exists():
            known = before(request) if request.verb not in _ELSEWHERE else None
            count = written(request, coming) if known is None else known
            if count:
                device = _there(request.output).stat().st_dev
                disks.setdefault(device, []).append((count, request))
    for found in disks.values():
        _check(sorted(found, key=lambda each: -each[0]), free)


def _check(found: list[tuple[int, Request]], free: Callable[[Path], int]) -> None:
    needed = sum(count for count, _ in found)
    folder = _there(found[0][1].output)
    left = free(folder)
    if needed <= left:
        return
    listed = "".join(
        f"\n  {size(count)} by {request.verb} into {request.output}"
        for count, request in found[:_SHOWN]
    )
    others = len(found) - _SHOWN
    more = f"\n  the rest by {others} others" if others > 0 else ""
    folders = ["OUTPUT=", "BUILD="] * any(not each.is_shared for _, each in found)
    folders += ["MLC_LLM_HOME="] * any(each.is_shared for _, each in found)
    raise BuildError(
        f"the disk of {folder} has {size(left)} left, and at least {size(needed)} are "
        f"to be written: free {size(needed - left)}, or name folders on another disk "
        f"with {_all(folders)}{listed}{more}"
    )


def _all(words: Sequence[str]) -> str:
    *first, last = words
    return " and ".join(filter(None, (", ".join(first), last)))


def _there(path: Path) -> Path:
    """Return the nearest folder above ``path`` that exists."""
    return next(each for each in (path, *path.parents) if each.is_dir())
