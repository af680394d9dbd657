"""A template language for text: ``[this|that]`` is a choice, ``{name}`` a slot.

Choices nest and may be empty: ``a [|very [old|big] ]tree``. Knows nothing of what the
text is about.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

__all__ = ["an", "expand", "rows", "words"]

CHOICE = re.compile(r"\[([^\[\]]*)\]")


def expand(rng: random.Random, template: str, slots: Mapping[str, str]) -> str:
    """Return ``template`` with its choices drawn by ``rng`` and its slots filled.

    Slots may hold templates. Raises KeyError on a slot that ``slots`` lacks.
    """
    while CHOICE.search(template) or "{" in template:
        template = CHOICE.sub(lambda m: rng.choice(m[1].split("|")), template)
        if not CHOICE.search(template):
            template = template.format_map(slots)
    return template


def an(noun: str) -> str:
    """Return ``noun`` after the indefinite article that its first letter asks for."""
    exception = noun.startswith("uni")
    return f"an {noun}" if noun[0] in "aeiou" and not exception else f"a {noun}"


def rows(table: str) -> list[tuple[str, ...]]:
    """Return the lines of ``table``, split at ``;`` and stripped; empty lines go."""
    lines = [line for line in table.splitlines() if line.strip()]
    return [tuple(cell.strip() for cell in line.split(";")) for line in lines]


def words(text: str) -> list[str]:
    """Return the words of ``text``."""
    return text.split()
