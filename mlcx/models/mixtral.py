"""The network of Mixtral."""

from __future__ import annotations

from collections.abc import Callable

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.architectures.mixtral import Config
from mlcx.models.mistral import sliding_cache
from mlcx.nn.attention import SelfAttention
from mlcx.nn.causal_lm import CausalLM, rms_norm
from mlcx.nn.kv_cache import PagedKVCache
from mlcx.nn.moe import Experts, Router, mixture, route

__all__ = ["Layer", "MoE", "Model"]


class MoE(nn.Module):
    """A mixture of experts, their weights normalized for each token."""

    def __init__(self, config: Config) -> None:
        hidden, inner = config.hidden_size, config.intermediate_size
        experts = config.num_local_experts
        self.chosen = config.num_experts_per_tok
        self.gate = Router(hidden, experts)
        self.e1_e3 = Experts(experts, hidden, 2 * inner)
        self.e2 = Experts(experts, inner, hidden, "float32")

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        """Map ``x`` (b, s, h) to (b, s, h)."""
        b, s, h = x.shape
        rows = op.reshape(x, (b * s, h))
        routing = route(self.gate(rows), self.chosen, normalized=True)
        return op.reshape(mixture(rows, routing, self.e1_e3, self.e2), x.shape)


class Layer(nn.Module):
    """Attention, then experts, each behind a norm and beside a residual."""

    def __init__(
        self, attention: SelfAttention, moe: MoE, norm: Callable[[], nn.Module]
    ) -> None:
        self.self_attn = attention
        self.moe = moe
        self.input_layernorm = norm()
        self.post_attention_layernorm = norm()

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        """Map ``x`` (b, s, h) to (b, s, h)."""
        x = x + self.self_attn(self.input_layernorm(x), cache, layer)
        return x + self.moe(self.post_attention_layernorm(x))


class Model(CausalLM[Config]):
    """The language model, with its cache in ``dtype``."""

    def __init__(self, config: Config, dtype: str) -> None:
        cache = sliding_cache(config, config.position_embedding_base, dtype)
        norm = rms_norm(config.hidden_size, config.rms_norm_eps)
        super().__init__(config, cache, norm, tied=config.tie_word_embeddings)

    def layer(self, config: Config, norm: Callable[[], nn.Module]) -> Layer:
        """Return a new layer, a map of (x, cache, layer)."""
        return Layer(self.attention(config), MoE(config), norm)
