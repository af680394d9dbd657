"""Which layers of a model see a window of the text only, as configs tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlcx.architectures.config import OPEN, Fields

__all__ = ["FULL", "SLIDING", "derive_layer_window", "derive_pattern"]

FULL = "full_attention"
SLIDING = "sliding_attention"
"""The names of the types."""


def derive_layer_window(
    fields: Fields, data: Mapping[str, Any], key: str, absent: int
) -> int:
    """Return the window of layers that slide, in tokens; `OPEN` where it is null.

    ``absent`` is the window of configs that do not name it.
    """
    if key in data and not fields.has(key):
        return OPEN
    return fields.positive(key, absent)


def derive_pattern(
    fields: Fields, data: Mapping[str, Any], layers: int, usual: int
) -> int:
    """Return n: of every n layers, the last sees all of the text, the others slide.

    ``usual`` is that of configs that tell neither it nor each layer's type.
    """
    pattern = fields.positive("sliding_window_pattern", usual)
    types = data.get("layer_types")
    if types is None:
        return pattern
    found = types if isinstance(types, list) else []
    if FULL in found:
        pattern = found.index(FULL) + 1
    elif found:
        pattern = layers + 1
    kinds = [FULL if (n + 1) % pattern == 0 else SLIDING for n in range(len(found))]
    fields.require(
        found == kinds and len(found) == layers,
        f"'layer_types': expected {layers}, in equal groups of {SLIDING} layers that "
        f"end with one of {FULL}, found {types!r}",
    )
    return pattern
