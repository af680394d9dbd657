"""The global symbols of a static library, by member: what an app's linker will see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mlcx.errors import InputError
from mlcx.library.members import members
from mlcx.library.objects import Symbol, defined

__all__ = ["Defined", "clashes", "symbols"]


class Defined(NamedTuple):
    """A symbol and the member that defines it."""

    member: str
    """By name and place, as several may have one name: ``lib0.o (2)``."""
    symbol: Symbol


def symbols(file: Path) -> tuple[Defined, ...]:
    """Return the global symbols that ``file`` defines, as the linker's ``nm`` lists.

    Args:
        file: A static library (.a), objects in a .tar, or one object.

    Raises:
        InputError: The file is missing or damaged, or holds what is no object.
        BuildError: LIEF is not installed.
    """
    found: list[Defined] = []
    seen: Counter[str] = Counter()
    for name, data in members(file)[1]:
        seen[name] += 1
        member = name if seen[name] == 1 else f"{name} ({seen[name]})"
        own = defined(data)
        if own is None:
            raise InputError.in_file(file, f"its member {member} is no object")
        found += (Defined(member, symbol) for symbol in own)
    return tuple(found)


def clashes(found: Iterable[Defined]) -> dict[str, tuple[str, ...]]:
    """Return the names that several members define, and which; weak ones never clash.

    Libraries of two models clash where they have the same prefix.
    """
    places: dict[str, list[str]] = {}
    for member, symbol in found:
        if not symbol.weak:
            places.setdefault(symbol.name, []).append(member)
    return {name: tuple(each) for name, each in places.items() if len(each) > 1}
