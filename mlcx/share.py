"""What this process and its children may take of the machine: memory, processors.

A container or a service has less than the machine: its control group says how much.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

__all__ = ["available", "processors"]

_ROOT = Path("/")


class _Names(NamedTuple):
    """How a version of control groups calls what it says of memory."""

    limit: str
    used: str
    cache: str
    """What of the used memory the kernel would give back: file pages not in use."""


_MEMORY = {
    1: _Names("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: _Names("memory.max", "memory.current", "inactive_file"),
}


def available(root: Path = _ROOT) -> int | None:
    """Return the bytes of memory that are left; None: this system does not say.

    ``root`` is what ``/proc`` and ``/sys`` are in.
    """
    machine = _fields(root / "proc/meminfo").get("MemAvailable:")
    if machine is None:
        return None
    groups = (
        left
        for version, group in _groups(root, "memory")
        for left in _left(group, _MEMORY[version])
    )
    return max(0, min([machine * 1024, *groups]))


def processors(root: Path = _ROOT) -> int:
    """Return how many processors' time there is, at least 1; parts of one are not.

    ``root`` is what ``/proc`` and ``/sys`` are in.
    """
    if hasattr(os, "sched_getaffinity"):
        here = len(os.sched_getaffinity(0))
    else:
        here = os.cpu_count() or 1
    groups = (
        quota // period
        for version, group in _groups(root, "cpu")
        for quota, period in _times(group, version)
    )
    return max(1, min([here, *groups]))


def _groups(root: Path, controller: str) -> Iterator[tuple[int, Path]]:
    """Yield version and folder of each control group that this process is in."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        version = 1 if controllers else 2  # which names none
        if version == 1 and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / (controller if version == 1 else "")
        own = PurePosixPath(path.strip("/"))
        # What is mounted in a container may be the group itself, as the root.
        for group in (own, *own.parents):
            yield version, top / group


def _left(group: Path, names: _Names) -> Iterator[int]:
    limit, used = _number(group / names.limit), _number(group / names.used)
    if limit is not None and used is not None:
        given_back = _fields(group / "memory.stat").get(names.cache, 0)
        yield limit - used + given_back


def _times(group: Path, version: int) -> Iterator[tuple[int, int]]:
    """Yield the microseconds of processors in each period, and those of a period."""
    if version == 2:
        said = " ".join(_lines(group / "cpu.max")).split()
    else:
        files = (group / f"cpu.cfs_{name}_us" for name in ("quota", "period"))
        said = [line for file in files for line in _lines(file)]
    numbers = [int(each) for each in said if each.isdecimal()]
    if len(numbers) == 2 and numbers[1]:  # else "max" or -1: there is no limit
        yield numbers[0], numbers[1]


def _number(file: Path) -> int | None:
    text = "".join(_lines(file)).strip()
    return int(text) if text.isdecimal() else None  # else "max": there is no limit


def _fields(file: Path) -> dict[str, int]:
    words = (line.split() for line in _lines(file))
    numbers = (each for each in words if len(each) > 1 and each[1].isdecimal())
    return {each[0]: int(each[1]) for each in numbers}


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
