"""Qwen 2 with a mixture of experts, beside one that every token goes through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.architectures import qwen2
from mlcx.architectures.config import Fields
from mlcx.architectures.fused import layers, qkv
from mlcx.architectures.qwen_moe import (
    EXPERTS,
    expert_weights,
    is_sparse,
    mixture_fields,
)
from mlcx.recipe import Recipe, joined

__all__ = ["LAYERS", "UNUSED", "Config", "weights"]

LAYERS = layers(
    "c_attn",
    *EXPERTS,
    "shared_expert_gate",
    *(f"shared_expert.{name}" for name in ("gate_up_proj", "down_proj")),
)

UNUSED = qwen2.UNUSED


@dataclass(frozen=True)
class Config(qwen2.Config):
    """What the model is built from, in MLC's names and order, then one of ours."""

    moe_intermediate_size: int
    shared_expert_intermediate_size: int
    num_experts_per_tok: int
    num_experts: int
    decoder_sparse_step: int
    norm_topk_prob: bool
    mlp_only_layers: tuple[int, ...]
    """Numbers of layers without experts, which MLC does not know."""

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("qwen2_moe", data)
        fields.require(
            fields.flag("qkv_bias", default=True),
            "'qkv_bias' is false, but qwen2_moe has biases here",
        )
        return fields.read(cls, **qwen2.decided(fields), **mixture_fields(fields, data))


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    recipes = qkv("c_attn", "weight", "bias") | expert_weights(config)
    if any(is_sparse(config, n) for n in range(config.num_hidden_layers)):
        shared = "model.layers.{i}.mlp.shared_expert."
        parts = ("gate_proj.weight", "up_proj.weight")
        recipes |= joined(shared, "gate_up_proj.weight", *parts)
    return recipes
