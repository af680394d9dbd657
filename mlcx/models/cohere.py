"""The network of Cohere."""

from __future__ import annotations

from collections.abc import Callable

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.architectures.cohere import Config
from mlcx.nn.attention import SelfAttention
from mlcx.nn.causal_lm import CausalLM, heads_of
from mlcx.nn.kv_cache import KVCacheSpec, PagedKVCache
from mlcx.nn.layer_norm import HeadNorm, ScalingLayerNorm

__all__ = ["Attention", "Layer", "Model"]


class Attention(SelfAttention):
    """With a norm for each query and key head, if the config says so."""

    def __init__(self, config: Config) -> None:
        heads, epsilon = heads_of(config), config.layer_norm_eps
        super().__init__(heads)
        self.qkv_proj = nn.Linear(config.hidden_size, self.qkv_width, bias=False)
        self.out_proj = nn.Linear(self.width, config.hidden_size, bias=False)
        self.normed = config.use_qk_norm
        if self.normed:
            self.q_norm = HeadNorm(heads.num_q_heads, heads.head_dim, epsilon)
            self.k_norm = HeadNorm(heads.num_kv_heads, heads.head_dim, epsilon)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        """Map ``x`` (b, s, hidden) to (b, s, hidden), appending to ``layer``."""
        qkv = self.qkv_proj(x)
        if self.normed:
            qkv = self.normalized(qkv, self.q_norm, self.k_norm)
        return self.out_proj(self.attend(qkv, cache, layer))


class _MLP(nn.Module):
    """``down(silu(gate(x)) * up(x))``."""

    def __init__(self, hidden: int, inner: int) -> None:
        self.gate_proj = nn.Linear(hidden, inner, bias=False)
        self.up_proj = nn.Linear(hidden, inner, bias=False)
        self.down_proj = nn.Linear(inner, hidden, bias=False)

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        return self.down_proj(op.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """Attention beside feed-forward, behind one norm and beside a residual."""

    def __init__(self, config: Config, norm: Callable[[], nn.Module]) -> None:
        self.self_attn = Attention(config)
        self.mlp = _MLP(config.hidden_size, config.intermediate_size)
        self.input_layernorm = norm()

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        """Map ``x`` (b, s, h) to (b, s, h)."""
        h = self.input_layernorm(x)
        return x + self.self_attn(h, cache, layer) + self.mlp(h)


class Model(CausalLM[Config]):
    """The language model, with its cache in ``dtype``."""

    def __init__(self, config: Config, dtype: str) -> None:
        cache = KVCacheSpec.of(
            heads_of(config),
            num_layers=config.num_hidden_layers,
            rope_theta=config.position_embedding_base,
            dtype=dtype,
            interleaved=True,
        )

        def norm() -> nn.Module:
            return ScalingLayerNorm(config.hidden_size, config.layer_norm_eps)

        super().__init__(config, cache, norm, tied=config.tie_word_embeddings)
        self.logit_scale = config.logit_scale

    def layer(self, config: Config, norm: Callable[[], nn.Module]) -> Layer:
        """Return a new layer, a map of (x, cache, layer)."""
        return Layer(config, norm)

    def get_logits(self, hidden_states: nn.Tensor) -> nn.Tensor:
        """Hidden states (..., h) to float32 logits (..., V)."""
        return super().get_logits(hidden_states) * self.logit_scale
