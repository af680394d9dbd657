"""Qwen 2 and 2.5: Llama with biases on queries, keys and values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.architectures.config import Fields, ModelConfig
from mlcx.architectures.fused import GATE_UP, ROTARY, layers, qkv
from mlcx.architectures.sizes import USUAL_CHUNK, derive_context, derive_heads
from mlcx.recipe import Recipe

__all__ = ["LAYERS", "UNUSED", "Config", "decided", "weights"]

LAYERS = layers("c_attn")

UNUSED = ROTARY


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from, in MLC's names and order."""

    hidden_act: str
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_hidden_layers: int
    num_key_value_heads: int
    rms_norm_eps: float
    rope_theta: float
    vocab_size: int
    tie_word_embeddings: bool
    context_window_size: int
    prefill_chunk_size: int
    tensor_parallel_shards: int
    head_dim: int
    dtype: str
    """MLC's; what counts is the dtype of the quantization."""
    max_batch_size: int

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("qwen2", data)
        return fields.read(cls, **decided(fields))


def decided(fields: Fields, chunk: int = USUAL_CHUNK) -> dict[str, Any]:
    """Return the fields of ``Config`` that are not read by their types alone.

    ``chunk`` is the largest prefill chunk that nobody asked for.
    """
    fields.refuse("use_sliding_window", because="attends to all tokens here")
    fields.rope_scaling({})
    context, chunk = derive_context(fields, chunk)
    keys, width = derive_heads(fields)
    return {
        "hidden_act": fields.choice("hidden_act", "silu"),
        "num_key_value_heads": keys,
        "rope_theta": fields.rope_theta(),
        "context_window_size": context,
        "prefill_chunk_size": chunk,
        "head_dim": width,
        "dtype": "float32",
    }


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    return qkv("c_attn", "weight", "bias") | GATE_UP
