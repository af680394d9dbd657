"""Mistral: Llama with a sliding window, which keeps the first tokens as sinks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.architectures.config import Fields, ModelConfig
from mlcx.architectures.fused import GATE_UP, ROTARY, layers, qkv
from mlcx.architectures.sizes import derive_heads, derive_window
from mlcx.recipe import Recipe

__all__ = ["LAYERS", "UNUSED", "Config", "weights"]

LAYERS = layers("qkv_proj")

UNUSED = ROTARY


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from, in MLC's names and order."""

    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_hidden_layers: int
    rms_norm_eps: float
    vocab_size: int
    position_embedding_base: float
    num_key_value_heads: int
    head_dim: int
    context_window_size: int
    """-1: no limit, since the window slides."""
    sliding_window_size: int
    """-1: no window."""
    prefill_chunk_size: int
    attention_sink_size: int
    tensor_parallel_shards: int
    max_batch_size: int

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("mistral", data)
        fields.refuse("tie_word_embeddings", because="has a head of its own here")
        fields.accept("hidden_act", "silu")
        fields.rope_scaling({})
        keys, width = derive_heads(fields)
        return fields.read(
            cls,
            **derive_window(fields, sinks=4),
            position_embedding_base=fields.rope_theta(),
            num_key_value_heads=keys,
            head_dim=width,
        )


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    return qkv("qkv_proj") | GATE_UP
