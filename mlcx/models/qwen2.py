"""The network of Qwen 2."""

from __future__ import annotations

from typing import Protocol, TypeVar

from tvm.relax.frontend import nn

from mlcx.nn.attention import SelfAttention
from mlcx.nn.causal_lm import CausalLM, Sizes, heads_of, rms_norm
from mlcx.nn.kv_cache import Heads, KVCacheSpec, PagedKVCache

__all__ = ["Attention", "Described", "Model", "QwenLM"]


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
