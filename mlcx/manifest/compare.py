"""Find where two folders, which should be equal, differ first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Difference", "differences", "files"]

_BLOCK = 1 << 20
_SHOWN = 16


@dataclass(frozen=True)
class Difference:
    """One file that is not the same in two folders."""

    file: str
    """Relative to both."""
    message: str
    """What is the matter with it."""
    offset: int | None = None
    """Of the first byte that differs, from 0; None: there is no such byte."""

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"


def files(folder: Path) -> dict[str, Path]:
    """Return the files below ``folder`` by their names relative to it, sorted."""
    found = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return {path.relative_to(folder).as_posix(): path for path in sorted(found)}


def differences(
    first: Path, second: Path, wanted: Callable[[str], bool] = lambda _: True
) -> Iterator[Difference]:
    """Yield the files for which ``wanted`` holds and that differ, sorted by name."""
    left, right = files(first), files(second)
    for name in filter(wanted, sorted({*left, *right})):
        if name not in right:
            yield Difference(name, "only the first build made it")
        elif name not in left:
            yield Difference(name, "only the second build made it")
        elif found := _compare(name, left[name], right[name]):
            yield found


def _compare(name: str, first: Path, second: Path) -> Difference | None:
    with first.open("rb") as left, second.open("rb") as right:
        begin = 0
        while True:
            one, two = left.read(_BLOCK), right.read(_BLOCK)
            if one != two:
                return _at(name, begin, one, two)
            if not one:
                return None
            begin += len(one)


def _at(name: str, begin: int, one: bytes, two: bytes) -> Difference:
    shorter = min(len(one), len(two))
    place = next((at for at in range(shorter) if one[at] != two[at]), shorter)
    offset = begin + place
    if place == shorter:
        kind = "first" if len(one) < len(two) else "second"
        return Difference(name, f"the {kind} ends at byte {offset}", offset)
    values = " / ".join(each[place : place + _SHOWN].hex(" ") for each in (one, two))
    message = f"differs from byte {offset} (0x{offset:x}) on: {values}"
    return Difference(name, message, offset)
