"""StableLM 3B and 2: Llama with layer norms and heads that are rotated in part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.architectures.config import Fields, ModelConfig
from mlcx.architectures.fused import GATE_UP, layers, qkv
from mlcx.architectures.sizes import derive_context, derive_heads
from mlcx.recipe import Recipe

__all__ = ["LAYERS", "UNUSED", "Config", "weights"]

LAYERS = layers("qkv_proj")

UNUSED: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from, in MLC's names and order."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    layer_norm_eps: float
    partial_rotary_factor: float
    rope_theta: float
    intermediate_size: int
    use_qkv_bias: bool
    head_dim: int
    context_window_size: int
    prefill_chunk_size: int
    tensor_parallel_shards: int
    max_batch_size: int

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("stablelm", data)
        fields.refuse("qk_layernorm", because="normalizes no queries and keys here")
        fields.refuse("use_parallel_residual", because="has its blocks in turn here")
        fields.refuse("tie_word_embeddings", because="has a head of its own here")
        fields.accept("hidden_act", "silu")
        fields.rope_scaling({})
        context, chunk = derive_context(fields)
        keys, width = derive_heads(fields)
        return fields.read(
            cls,
            num_key_value_heads=keys,
            partial_rotary_factor=fields.rotated_share(
                "partial_rotary_factor", width, default=0.25
            ),
            rope_theta=fields.rope_theta(),
            head_dim=width,
            context_window_size=context,
            prefill_chunk_size=chunk,
        )


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    kinds = ("weight", "bias") if config.use_qkv_bias else ("weight",)
    return qkv("qkv_proj", *kinds) | GATE_UP
