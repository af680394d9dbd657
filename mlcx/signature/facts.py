"""A fact: what a step depends on besides files, as data that people can read.

Signed is the text of a fact, which changes whenever the data does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from mlcx.spec.digest import digest_json

__all__ = ["SOURCES", "Fact"]

SOURCES = "sources of "
"""What the name of a fact begins with whose values are digests of files."""

_SHOWN = 100
"""Characters of a text that is signed as it is; a longer one by its digest."""


@dataclass(frozen=True)
class Fact:
    """Named values that belong together, in an order that counts."""

    name: str
    """What it is: ``TVM``, ``tools``, ``sources of mlcx.compiler``."""
    parts: tuple[tuple[str, str], ...]
    """Each with its value: a version, a digest of a file, a text."""

    @classmethod
    def of(
        cls, name: str, parts: Mapping[str, str] | Iterable[tuple[str, str]]
    ) -> Fact:
        """Make the fact ``name`` of ``parts``, by name or in pairs."""
        pairs = parts.items() if isinstance(parts, Mapping) else parts
        return cls(name, tuple(pairs))

    def __str__(self) -> str:
        """Return what is signed of this."""
        return _signed(self)


@cache
def _signed(fact: Fact) -> str:
    """Return the text of ``fact``: many steps depend on the same few."""
    text = ", ".join(f"{name} {value}" for name, value in fact.parts) or "none"
    shown = text if len(text) <= _SHOWN else digest_json(fact.parts)
    return f"{fact.name} {shown}"
