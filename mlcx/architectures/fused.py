"""What checkpoints keep apart and models have fused, under the names of most."""

from __future__ import annotations

from mlcx.recipe import Recipe, joined

__all__ = ["GATE_UP", "ROTARY", "layers", "qkv"]

_ATTENTION = "model.layers.{i}.self_attn."
_MLP = "model.layers.{i}.mlp."

GATE_UP = joined(_MLP, "gate_up_proj.weight", "gate_proj.weight", "up_proj.weight")

ROTARY = (f"{_ATTENTION}rotary_emb.inv_freq",)
"""A buffer that older checkpoints have; it follows from the config."""


def layers(fused: str, *mlp: str, out: str = "o_proj") -> tuple[str, ...]:
    """Return the names of a model's layers, from the embedding to the head.

    Args:
        fused: The projection of queries, keys and values.
        mlp: Of the feed-forward block, if they are not the usual two.
        out: What follows the attention.
    """
    return (
        "model.embed_tokens",
        *(f"{_ATTENTION}{name}" for name in (fused, out)),
        *(f"{_MLP}{name}" for name in mlp or ("gate_up_proj", "down_proj")),
        "lm_head",
    )


def qkv(fused: str, *kinds: str) -> dict[str, Recipe]:
    """Return the recipes of the projection ``fused``: its weight, or all ``kinds``."""
    recipes: dict[str, Recipe] = {}
    for kind in kinds or ("weight",):
        parts = (f"{part}_proj.{kind}" for part in "qkv")
        recipes |= joined(_ATTENTION, f"{fused}.{kind}", *parts)
    return recipes
