"""What the mixtures of experts of Qwen 2 and Qwen 3 share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from mlcx.architectures.config import Fields
from mlcx.architectures.fused import GATE_UP
from mlcx.recipe import Recipe, joined

__all__ = ["EXPERTS", "Mixture", "expert_weights", "is_sparse", "mixture_fields"]

EXPERTS = "gate moe_gate_up_proj moe_down_proj gate_up_proj down_proj".split()
"""Layers of the feed-forward block: the router's, experts', of a block without any."""

_MLP = "model.layers.{i}.mlp."


class Mixture(Protocol):
    """What a config tells of its layers' experts, in Hugging Face's names."""

    @property
    def num_hidden_layers(self) -> int:
        """Layers."""

    @property
    def num_experts(self) -> int:
        """Experts of a layer that has any."""

    @property
    def decoder_sparse_step(self) -> int:
        """n: of every n layers, the last has experts."""

    @property
    def mlp_only_layers(self) -> tuple[int, ...]:
        """Numbers of layers that have none anyway."""


def mixture_fields(fields: Fields, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a mixture that are not read by their types alone."""
    experts = fields.positive(fields.first("num_local_experts", "num_experts"))
    fields.require(
        fields.positive("num_experts_per_tok") <= experts,
        "num_experts_per_tok must not exceed num_experts",
    )
    dense = data.get("mlp_only_layers") or []
    numbers = isinstance(dense, list | tuple) and all(type(n) is int for n in dense)
    fields.require(
        numbers,
        f"'mlp_only_layers': expected a list of layers' numbers, found {dense!r}",
    )
    return {
        "num_experts": experts,
        "decoder_sparse_step": fields.positive("decoder_sparse_step", 1),
        "mlp_only_layers": tuple(dense) if numbers else (),
    }


def is_sparse(config: Mixture, layer: int) -> bool:
    """Say whether layer number ``layer`` has experts."""
    on_step = (layer + 1) % config.decoder_sparse_step == 0
    return on_step and layer not in config.mlp_only_layers


def expert_weights(config: Mixture) -> dict[str, Recipe]:
    """Return the recipes of the feed-forward blocks of all layers."""
    experts = [f"experts.{e}." for e in range(config.num_experts)]
    gates_ups = [f"{e}{part}_proj.weight" for e in experts for part in ("gate", "up")]
    downs = [f"{e}down_proj.weight" for e in experts]
    recipes = joined(_MLP, "moe_gate_up_proj.weight", *gates_ups)
    recipes |= joined(_MLP, "moe_down_proj.weight", *downs)
    sparse = (is_sparse(config, n) for n in range(config.num_hidden_layers))
    return recipes if all(sparse) else recipes | GATE_UP
