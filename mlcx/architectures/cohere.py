"""Cohere's Command-R and Aya: norms without biases, attention beside feed-forward.

Unlike MLC LLM, neighbours in a head rotate together, queries and keys may have norms,
and logits are scaled, as checkpoints are trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.architectures.config import Fields, ModelConfig
from mlcx.architectures.fused import ROTARY, layers, qkv
from mlcx.architectures.sizes import derive_context, derive_heads
from mlcx.recipe import Recipe, joined

__all__ = ["LAYERS", "UNUSED", "Config", "weights"]

LAYERS = layers("qkv_proj", "gate_proj", "up_proj", "down_proj", out="out_proj")

UNUSED = ROTARY


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from: MLC's fields in their order, then ours."""

    model_type: str
    hidden_size: int
    vocab_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    intermediate_size: int
    layer_norm_eps: float
    position_embedding_base: float
    context_window_size: int
    prefill_chunk_size: int
    head_dim: int
    tensor_parallel_shards: int
    max_batch_size: int
    logit_scale: float
    use_qk_norm: bool
    tie_word_embeddings: bool

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("cohere", data)
        fields.refuse("attention_bias", because="has no bias here")
        fields.accept("hidden_act", "silu")
        fields.rope_scaling({})
        context, chunk = derive_context(fields)
        keys, width = derive_heads(fields)
        return fields.read(
            cls,
            model_type="cohere",
            num_key_value_heads=keys,
            layer_norm_eps=fields.number("layer_norm_eps", 1e-5),
            # 1e4 to older versions of transformers, 5e5 to newer ones.
            position_embedding_base=fields.rope_theta(absent=None),
            context_window_size=context,
            prefill_chunk_size=chunk,
            head_dim=width,
            logit_scale=fields.number("logit_scale", 0.0625),
            tie_word_embeddings=fields.flag("tie_word_embeddings", default=True),
        )


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    attention = "model.layers.{i}.self_attn."
    return qkv("qkv_proj") | joined(attention, "out_proj.weight", "o_proj.weight")
