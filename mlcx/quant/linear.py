"""Schemes that pack linear layers, all of them alike, and nothing else."""

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
        taken = layer.role == "linear" and not layer.is_head and not layer.is_router
        return self.linear if taken else None
