"""Qwen 3 with a mixture of experts in all layers, or in some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.architectures import qwen3
from mlcx.architectures.config import Fields
from mlcx.architectures.fused import layers, qkv
from mlcx.architectures.qwen_moe import EXPERTS, expert_weights, mixture_fields
from mlcx.recipe import Recipe

__all__ = ["LAYERS", "UNUSED", "Config", "weights"]

LAYERS = layers("c_attn", *EXPERTS)

UNUSED = qwen3.UNUSED


@dataclass(frozen=True)
class Config(qwen3.Config):
    """What the model is built from, in MLC's names and order, then one of ours."""

    moe_intermediate_size: int
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
        fields = Fields("qwen3_moe", data)
        return fields.read(cls, **qwen3.decided(fields), **mixture_fields(fields, data))


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    kinds = ("weight", "bias") if config.attention_bias else ("weight",)
    return qkv("c_attn", *kinds) | expert_weights(config)
