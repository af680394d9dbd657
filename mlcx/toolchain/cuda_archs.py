"""The architectures of NVIDIA's GPUs, as a table and as texts name them."""

from __future__ import annotations

import re

from mlcx.errors import UsageError

__all__ = ["ARCHITECTURES", "canonical", "forward", "number"]

ARCHITECTURES = (75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121)
"""What the compiler knows, by the number of ``sm_75`` and so on."""

_ARCH = re.compile(r"(?:sm_)?(\d{2,3})([af]?)")


def canonical(text: str) -> tuple[str, ...]:
    """Return the architectures that ``text`` names, oldest first.

    Args:
        text: ``sm_80,sm_90a`` or, as MLC LLM writes it, ``80,90a``.

    Raises:
        UsageError: One is none that there is a compiler for.
    """
    found = {_parts(arch) for arch in text.split(",")}
    return tuple(f"sm_{number}{letter}" for number, letter in sorted(found))


def number(arch: str) -> int:
    """Return the number of ``arch``, which two with different letters share."""
    return _parts(arch)[0]


def forward(archs: tuple[str, ...]) -> str | None:
    """Return the latest of ``archs`` whose code later GPUs can be given; None: none.

    What is compiled for an architecture with a letter runs on no later one.
    """
    plain = [arch for arch in archs if not _parts(arch)[1]]
    return plain[-1] if plain else None


def _parts(arch: str) -> tuple[int, str]:
    found = _ARCH.fullmatch(arch)
    if found is None or int(found[1]) not in ARCHITECTURES:
        known = ", ".join(f"sm_{number}" for number in ARCHITECTURES)
        expected = f"expected some of {known}, with commas between"
        raise UsageError(f"CUDA architecture {arch!r}: {expected}")
    return int(found[1]), found[2]
