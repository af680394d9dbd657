"""How much memory this process and its children may still take, on Linux.

A container or a service has less than the machine: its control group says how much.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

__all__ = ["available"]


class _Version(NamedTuple):
    """How a version of control groups calls things."""

    folder: str
    limit: str
    used: str
    cache: str
    """What of the used memory the kernel would give back: file pages not in use."""


_VERSIONS = {
    "": _Version("", "memory.max", "memory.current", "inactive_file"),
    "memory": _Version(
        "memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
}
"""By the controllers of a line in /proc/self/cgroup; none are named by version 2."""


def available(root: Path = Path("/")) -> int | None:
    """Return the bytes; None: this system does not say.

    ``root`` is what ``/proc`` and ``/sys`` are in.
    """
    machine = _fields(root / "proc/meminfo").get("MemAvailable:")
    if machine is None:
        return None
    return max(0, min([machine * 1024, *_groups(root)]))


def _groups(root: Path) -> Iterator[int]:
    """Yield what each control group that this process is in leaves it."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        version = _VERSIONS.get(controllers)
        if version is not None:
            top = root / "sys/fs/cgroup" / version.folder
            own = PurePosixPath(path.strip("/"))
            # What is mounted in a container may be the group itself, as the root.
            for group in (own, *own.parents):
                yield from _left(top / group, version)


def _left(group: Path, version: _Version) -> Iterator[int]:
    limit, used = _number(group / version.limit), _number(group / version.used)
    if limit is not None and used is not None:
        given_back = _fields(group / "memory.stat").get(version.cache, 0)
        yield limit - used + given_back


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
