"""How heads turn with their positions: the frequencies of rotary embedding.

Pair i of a head's elements turns by the angle ``position * frequency[i]``. Pairs are
element i of the rotated part's first half and of its second one (NeoX order), or
neighbours (GPT-J's, which Su et al., arXiv:2104.09864, describe).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.errors import BuildError

__all__ = ["Rotation", "frequencies"]


@dataclass(frozen=True)
class Rotation:
    """How a part of each head turns with its position, and is scaled."""

    frequencies: tuple[float, ...]
    """Radians a position, of each pair."""
    interleaved: bool = False
    """Whether the pairs are neighbours."""
    amplitude: float = 1.0
    """What the rotated part is multiplied by."""

    @property
    def half(self) -> int:
        """The number of pairs."""
        return len(self.frequencies)


def frequencies(
    theta: float, rotary_dim: int, scaling: Mapping[str, Any] | None
) -> tuple[float, ...]:
    """Return the radians per position of the ``rotary_dim / 2`` pairs of a head.

    ``scaling`` is the Hugging Face ``rope_scaling``: None, or of type default, linear
    (Chen et al., arXiv:2306.15595), llama3 (as published with Llama 3.1), or longrope
    (Ding et al., arXiv:2402.13753) with the ``factors`` chosen, one for each pair.
    """
    plain = [theta ** (-2 * i / rotary_dim) for i in range(rotary_dim // 2)]
    if scaling is None:
        return tuple(plain)
    kind = scaling.get("rope_type", scaling.get("type"))
    if kind == "default":
        return tuple(plain)
    if kind == "linear":
        return tuple(f / scaling["factor"] for f in plain)
    if kind == "llama3":
        return tuple(_llama3(f, scaling) for f in plain)
    if kind == "longrope":
        return tuple(f / by for f, by in zip(plain, scaling["factors"], strict=True))
    raise BuildError(
        f"rope_scaling of type {kind!r}: expected default, linear, llama3 or longrope; "
        "no kernel for another one exists"
    )


def _llama3(frequency: float, scaling: Mapping[str, Any]) -> float:
    """Slow the low frequencies down, keep the high ones, blend those in between."""
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    original = scaling["original_max_position_embeddings"]
    turns = original * frequency / (2 * math.pi)
    kept = min(1.0, max(0.0, (turns - low) / (high - low)))
    return float(frequency * (kept + (1 - kept) / scaling["factor"]))
