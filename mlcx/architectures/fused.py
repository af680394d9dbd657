"""What checkpoints keep apart and models have fused, under the names of most."""

from __future__ import annotations

from mlcx.recipe import Recipe, joined

__all__ = ["GATE_UP", "ROTARY", "qkv"]

_ATTENTION = "model.layers.{i}.self_attn."
_MLP = "model.layers.{i}.mlp."

GATE_UP = joined(_MLP, "gate_up_proj.weight", "gate_proj.weight", "up_proj.weight")

ROTARY = (f"{_ATTENTION}rotary_emb.inv_freq",)
"""A buffer that older checkpoints have; it follows from the config."""


def qkv(fused: str, *kinds: str) -> dict[str, Recipe]:
    """Return the recipes of the projection ``fused``: its weight, or all ``kinds``."""
    recipes: dict[str, Recipe] = {}
    for kind in kinds or ("weight",):
        parts = (f"{part}_proj.{kind}" for part in "qkv")
        recipes |= joined(_ATTENTION, f"{fused}.{kind}", *parts)
    return recipes
