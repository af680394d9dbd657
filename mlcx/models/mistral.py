"""Mistral: Llama with a sliding window, which keeps the first tokens as sinks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from mlcx.models.config import OPEN, Fields, ModelConfig
from mlcx.models.fused import GATE_UP, ROTARY, qkv
from mlcx.models.sizes import derive_heads, derive_window
from mlcx.nn.causal_lm import CausalLM, Sizes, heads_of, rms_norm
from mlcx.nn.kv_cache import KVCacheSpec
from mlcx.recipe import Recipe

__all__ = ["UNUSED", "Config", "Model", "Slides", "sliding_cache", "weights"]

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


class Slides(Sizes, Protocol):
    """What a config tells of an architecture whose window slides, if it has one."""

    @property
    def sliding_window_size(self) -> int:
        """Tokens; -1: no window."""

    @property
    def attention_sink_size(self) -> int:
        """Of the first tokens, how many stay in sight."""


def sliding_cache(config: Slides, rope_theta: float, dtype: str) -> KVCacheSpec:
    """Return a cache that slides in all layers where the config has a window."""
    slides = config.sliding_window_size != OPEN
    return KVCacheSpec.of(
        heads_of(config),
        num_layers=config.num_hidden_layers,
        rope_theta=rope_theta,
        dtype=dtype,
        window=config.sliding_window_size if slides else None,
        sink=config.attention_sink_size if slides else 0,
    )


class Model(CausalLM[Config]):
    """The language model, with its cache in ``dtype``; never tied."""

    def __init__(self, config: Config, dtype: str) -> None:
        cache = sliding_cache(config, config.position_embedding_base, dtype)
        norm = rms_norm(config.hidden_size, config.rms_norm_eps)
        super().__init__(config, cache, norm, tied=False)
