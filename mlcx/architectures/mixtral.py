"""Mixtral: Mistral with a few of several feed-forward blocks for each token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.architectures.config import Fields, ModelConfig
from mlcx.architectures.fused import ROTARY, layers, qkv
from mlcx.architectures.sizes import derive_heads, derive_window
from mlcx.recipe import Recipe

__all__ = ["LAYERS", "UNUSED", "Config", "weights"]

_MOE = "model.layers.{i}.moe."

LAYERS = (
    *(name for name in layers("qkv_proj") if ".mlp." not in name),
    *(f"{_MOE}{name}" for name in ("gate", "e1_e3", "e2")),
)

UNUSED = ROTARY


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from, in MLC's names and order, then a window's sizes."""

    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_hidden_layers: int
    rms_norm_eps: float
    vocab_size: int
    tie_word_embeddings: bool
    position_embedding_base: float
    rope_scaling: None
    context_window_size: int
    """-1: no limit, since the window slides."""
    prefill_chunk_size: int
    num_key_value_heads: int
    head_dim: int
    tensor_parallel_shards: int
    pipeline_parallel_stages: int
    max_batch_size: int
    disaggregation: bool
    num_local_experts: int
    num_experts_per_tok: int
    sliding_window_size: int
    """-1: no window."""
    attention_sink_size: int

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("mixtral", data)
        fields.accept("hidden_act", "silu")
        fields.rope_scaling({})
        keys, width = derive_heads(fields)
        experts = fields.positive("num_local_experts")
        fields.require(
            fields.positive("num_experts_per_tok") <= experts,
            "num_experts_per_tok must not exceed num_local_experts",
        )
        return fields.read(
            cls,
            **derive_window(fields, sinks=4),
            position_embedding_base=fields.rope_theta(absent=1e6),
            rope_scaling=None,
            num_key_value_heads=keys,
            head_dim=width,
        )


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    source = "model.layers.{i}.block_sparse_moe."
    experts = [f"{source}experts.{e}." for e in range(config.num_local_experts)]
    gates_ups = (f"{each}{part}.weight" for each in experts for part in ("w1", "w3"))
    return qkv("qkv_proj") | {
        f"{_MOE}gate.weight": Recipe((f"{source}gate.weight",)),
        f"{_MOE}e1_e3.weight": Recipe(tuple(gates_ups)),
        f"{_MOE}e2.weight": Recipe(tuple(f"{each}w2.weight" for each in experts)),
    }
