"""Schemes that pack linear layers, all of them alike, and nothing else.

The layers of experts are among them.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlcx.quant.packing import Layer, Packing

__all__ = ["LinearScheme"]


@dataclass(frozen=True)
class LinearScheme:
    """Every linear layer but output heads and routers; embeddings stay as they are."""

    name: str
    linear: Packing
    model_dtype: str = "float16"

    def packing(self, layer: Layer) -> Packing | None:
        """Return how the weight of ``layer`` is stored; None: as it is."""
        left = layer.role == "embedding" or layer.is_head or layer.is_router
        return None if left else self.linear
