"""Qwen 2 with a mixture of experts, beside one that every token goes through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.models import qwen2
from mlcx.models.config import Fields
from mlcx.models.fused import qkv
from mlcx.models.qwen_moe import (
    SparseLM,
    SparseMLP,
    expert_weights,
    is_sparse,
    mixture_fields,
)
from mlcx.nn.mlp import GatedMLP
from mlcx.recipe import Recipe, joined

__all__ = ["UNUSED", "Config", "Model", "SharedMLP", "weights"]

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


class SharedMLP(SparseMLP):
    """With an expert for all tokens, of which each takes a share of its own."""

    def __init__(self, config: Config) -> None:
        hidden = config.hidden_size
        self.shared_expert = GatedMLP(hidden, config.shared_expert_intermediate_size)
        self.shared_expert_gate = nn.Linear(hidden, 1, bias=False)
        super().__init__(config)

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        """Map ``x`` (b, s, h) to (b, s, h)."""
        share = op.sigmoid(self.shared_expert_gate(x))
        return super().forward(x) + share * self.shared_expert(x)


class Model(SparseLM[Config], qwen2.Model[Config]):
    """The language model, with its cache in ``dtype``."""

    def sparse_mlp(self, config: Config) -> SharedMLP:
        """Return the experts of a new layer."""
        return SharedMLP(config)
