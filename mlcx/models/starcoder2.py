"""The network of StarCoder 2."""

from __future__ import annotations

from tvm.relax.frontend import nn

from mlcx.architectures.starcoder2 import Config
from mlcx.models.mistral import sliding_cache
from mlcx.nn.attention import SelfAttention
from mlcx.nn.causal_lm import CausalLM, heads_of, layer_norm
from mlcx.nn.kv_cache import PagedKVCache
from mlcx.nn.mlp import gelu_tanh

__all__ = ["MLP", "Attention", "Model"]


class Attention(SelfAttention):
    """With the projections ``wqkv_pack`` and ``o_proj``."""

    def __init__(self, config: Config) -> None:
        super().__init__(heads_of(config))
        hidden, bias = config.hidden_size, config.use_bias
        self.wqkv_pack = nn.Linear(hidden, self.qkv_width, bias=bias)
        self.o_proj = nn.Linear(self.width, hidden, bias=bias)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        """Map ``x`` (b, s, hidden) to (b, s, hidden), appending to ``layer``."""
        return self.o_proj(self.attend(self.wqkv_pack(x), cache, layer))


class MLP(nn.Module):
    """``c_proj(gelu(c_fc(x)))``."""

    def __init__(self, config: Config) -> None:
        hidden, inner = config.hidden_size, config.intermediate_size
        self.c_fc = nn.Linear(hidden, inner, bias=config.use_bias)
        self.c_proj = nn.Linear(inner, hidden, bias=config.use_bias)

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        """Map ``x`` (..., hidden) to the same shape."""
        return self.c_proj(gelu_tanh(self.c_fc(x)))


class Model(CausalLM[Config]):
    """The language model, with its cache in ``dtype``; the head is its own matrix."""

    def __init__(self, config: Config, dtype: str) -> None:
        cache = sliding_cache(config, config.rope_theta, dtype)
        norm = layer_norm(config.hidden_size, config.norm_epsilon)
        super().__init__(config, cache, norm, tied=False)

    def attention(self, config: Config) -> Attention:
        """Return the attention of a new layer."""
        return Attention(config)

    def mlp(self, config: Config) -> MLP:
        """Return the feed-forward block of a new layer."""
        return MLP(config)
