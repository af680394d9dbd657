"""Qwen 3: queries and keys normalized head by head before they are rotated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.architectures import qwen2
from mlcx.architectures.config import Fields, ModelConfig
from mlcx.architectures.fused import GATE_UP, qkv
from mlcx.recipe import Recipe

__all__ = ["LAYERS", "UNUSED", "Config", "decided", "weights"]

LAYERS = qwen2.LAYERS

UNUSED: tuple[str, ...] = ()

_USUAL_CHUNK = 2048


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from, in MLC's names and order."""

    hidden_act: str
    hidden_size: int
    intermediate_size: int
    attention_bias: bool
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
    """Not derived: heads together need not be as wide as the model."""
    dtype: str
    """MLC's; what counts is the dtype of the quantization."""
    max_batch_size: int
    weight_block_size: tuple[int, int] | None
    """Rows and columns that share a scale, in checkpoints in 8-bit floats."""

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("qwen3", data)
        return fields.read(cls, **decided(fields))


def decided(fields: Fields) -> dict[str, Any]:
    """Return the fields of ``Config`` that are not read by their types alone."""
    return {
        **qwen2.decided(fields, _USUAL_CHUNK),
        "head_dim": fields.positive("head_dim"),
        "weight_block_size": fields.weight_block_size(),
    }


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    kinds = ("weight", "bias") if config.attention_bias else ("weight",)
    return qkv("c_attn", *kinds) | GATE_UP
