"""Qwen 2 and 2.5: Llama with biases on queries, keys and values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from tvm.relax.frontend import nn

from mlcx.models.config import Fields, ModelConfig
from mlcx.models.fused import GATE_UP, ROTARY, qkv
from mlcx.models.sizes import USUAL_CHUNK, derive_context, derive_heads
from mlcx.nn.attention import SelfAttention
from mlcx.nn.causal_lm import CausalLM, Sizes, heads_of, rms_norm
from mlcx.nn.kv_cache import Heads, KVCacheSpec, PagedKVCache
from mlcx.recipe import Recipe

__all__ = [
    "UNUSED",
    "Attention",
    "Config",
    "Described",
    "Model",
    "QwenLM",
    "decided",
    "weights",
]

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


class Described(Sizes, Protocol):
    """What a config of any Qwen tells of the network."""

    @property
    def rms_norm_eps(self) -> float:
        """Added to the mean square in every norm."""

    @property
    def rope_theta(self) -> float:
        """RoPE's base."""

    @property
    def tie_word_embeddings(self) -> bool:
        """Whether the embedding is the head."""


_Config = TypeVar("_Config", bound=Described)


class QwenLM(CausalLM[_Config]):
    """The language model, with its cache in ``dtype``."""

    def __init__(self, config: _Config, dtype: str) -> None:
        cache = KVCacheSpec.of(
            heads_of(config),
            num_layers=config.num_hidden_layers,
            rope_theta=config.rope_theta,
            dtype=dtype,
        )
        norm = rms_norm(config.hidden_size, config.rms_norm_eps)
        super().__init__(config, cache, norm, tied=config.tie_word_embeddings)


class Attention(SelfAttention):
    """With a bias where Llama has none."""

    def __init__(self, hidden_size: int, heads: Heads) -> None:
        super().__init__(heads)
        self.c_attn = nn.Linear(hidden_size, self.qkv_width)
        self.o_proj = nn.Linear(self.width, hidden_size, bias=False)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        """Map ``x`` (b, s, hidden) to (b, s, hidden), appending to ``layer``."""
        return self.o_proj(self.attend(self.c_attn(x), cache, layer))


class Model(QwenLM[_Config]):
    """The language model of Qwen 2."""

    def attention(self, config: _Config) -> Attention:
        """Return the attention of a new layer."""
        return Attention(config.hidden_size, heads_of(config))
