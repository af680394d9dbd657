"""Llama: the ``llama`` model_type, with grouped-query attention and scaled RoPE."""

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

_ROPE_TYPES = {
    "llama3": (
        "factor",
        "low_freq_factor",
        "high_freq_factor",
        "original_max_position_embeddings",
    ),
    "linear": ("factor",),
}


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from, in MLC's names and order."""

    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_hidden_layers: int
    rms_norm_eps: float
    vocab_size: int
    tie_word_embeddings: bool
    position_embedding_base: float
    rope_scaling: dict[str, Any] | None
    context_window_size: int
    prefill_chunk_size: int
    num_key_value_heads: int
    head_dim: int
    tensor_parallel_shards: int
    pipeline_parallel_stages: int
    max_batch_size: int
    disaggregation: bool

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("llama", data)
        fields.refuse("attention_bias", "mlp_bias", because="has no bias here")
        fields.accept("hidden_act", "silu")
        context, chunk = derive_context(fields)
        keys, width = derive_heads(fields)
        return fields.read(
            cls,
            position_embedding_base=fields.rope_theta(),
            rope_scaling=_rope_scaling(fields),
            context_window_size=context,
            prefill_chunk_size=chunk,
            num_key_value_heads=keys,
            head_dim=width,
        )


def _rope_scaling(fields: Fields) -> dict[str, Any] | None:
    """Return how RoPE is scaled; the blend of low and high frequencies has a width."""
    scaling = fields.rope_scaling(_ROPE_TYPES)
    if scaling is not None and scaling["rope_type"] == "llama3":
        names = ("low_freq_factor", "high_freq_factor")
        low, high = (scaling[name] for name in names)
        message = f"expected low_freq_factor, {low}, below high_freq_factor, {high}"
        fields.require(low < high, f"rope_scaling: {message}", *names)
    return scaling


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    return qkv("qkv_proj") | GATE_UP
