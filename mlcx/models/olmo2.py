"""The network of OLMo 2."""

from __future__ import annotations

from collections.abc import Callable

from tvm.relax.frontend import nn

from mlcx.architectures.olmo2 import Config
from mlcx.nn.attention import NormedAttention
from mlcx.nn.causal_lm import CausalLM, heads_of, rms_norm
from mlcx.nn.kv_cache import KVCacheSpec, PagedKVCache

__all__ = ["Attention", "Layer", "Model"]


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
