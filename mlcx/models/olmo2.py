"""OLMo 2: norms behind the blocks, and of queries and keys as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tvm.relax.frontend import nn

from mlcx.models.config import Fields, ModelConfig
from mlcx.models.fused import GATE_UP, ROTARY, qkv
from mlcx.models.sizes import derive_context, derive_heads
from mlcx.nn.attention import NormedAttention
from mlcx.nn.causal_lm import CausalLM, heads_of, rms_norm
from mlcx.nn.kv_cache import KVCacheSpec, PagedKVCache
from mlcx.recipe import Recipe

__all__ = ["UNUSED", "Attention", "Config", "Layer", "Model", "weights"]

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


class Attention(NormedAttention):
    """With one norm for all queries of a token, and one for all its keys."""

    def __init__(self, config: Config) -> None:
        heads = heads_of(config)
        queries, keys = (
            count * heads.head_dim for count in (heads.num_q_heads, heads.num_kv_heads)
        )
        super().__init__(heads, (queries, keys), config.rms_norm_eps)
        self.qkv_proj = nn.Linear(config.hidden_size, self.qkv_width, bias=False)
        self.o_proj = nn.Linear(self.width, config.hidden_size, bias=False)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        """Map ``x`` (b, s, hidden) to (b, s, hidden), appending to ``layer``."""
        return self.o_proj(self.attend(self.qkv_proj(x), cache, layer))


class Layer(nn.Module):
    """Attention, then feed-forward, each before a norm and beside a residual."""

    def __init__(
        self, attention: Attention, mlp: nn.Module, norm: Callable[[], nn.Module]
    ) -> None:
        self.self_attn = attention
        self.mlp = mlp
        self.post_attention_layernorm = norm()
        self.post_feedforward_layernorm = norm()

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        """Map ``x`` (b, s, h) to (b, s, h)."""
        x = x + self.post_attention_layernorm(self.self_attn(x, cache, layer))
        return x + self.post_feedforward_layernorm(self.mlp(x))


class Model(CausalLM[Config]):
    """The language model, with its cache in ``dtype``."""

    def __init__(self, config: Config, dtype: str) -> None:
        cache = KVCacheSpec.of(
            heads_of(config),
            num_layers=config.num_hidden_layers,
            rope_theta=config.position_embedding_base,
            dtype=dtype,
        )
        norm = rms_norm(config.hidden_size, config.rms_norm_eps)
        super().__init__(config, cache, norm, tied=config.tie_word_embeddings)

    def layer(self, config: Config, norm: Callable[[], nn.Module]) -> Layer:
        """Return a new layer, a map of (x, cache, layer)."""
        return Layer(Attention(config), self.mlp(config), norm)
