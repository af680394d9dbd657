"""OLMo 2: norms behind the blocks, and of queries and keys as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.architectures.config import Fields, ModelConfig
from mlcx.architectures.fused import GATE_UP, ROTARY, layers, qkv
from mlcx.architectures.sizes import derive_context, derive_heads
from mlcx.recipe import Recipe

__all__ = ["LAYERS", "UNUSED", "Config", "weights"]

LAYERS = layers("qkv_proj")

UNUSED = ROTARY


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from, in MLC's names and order."""

    vocab_size: int
    hidden_size: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    position_embedding_base: float
    rope_scaling: None
    """MLC's, without effect there."""
    intermediate_size: int
    hidden_act: str
    num_hidden_layers: int
    rms_norm_eps: float
    tie_word_embeddings: bool
    context_window_size: int
    prefill_chunk_size: int
    tensor_parallel_shards: int
    pipeline_parallel_stages: int
    max_batch_size: int

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("olmo2", data)
        fields.refuse("attention_bias", because="has no bias here")
        fields.rope_scaling({})
        context, chunk = derive_context(fields)
        keys, width = derive_heads(fields)
        return fields.read(
            cls,
            num_key_value_heads=keys,
            head_dim=width,
            position_embedding_base=fields.rope_theta(),
            rope_scaling=None,
            hidden_act=fields.choice("hidden_act", "silu"),
            context_window_size=context,
            prefill_chunk_size=chunk,
        )


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    return qkv("qkv_proj") | GATE_UP
