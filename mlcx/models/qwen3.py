"""The network of Qwen 3."""

from __future__ import annotations

from typing import TypeVar

from tvm.relax.frontend import nn

from mlcx.architectures.qwen3 import Config
from mlcx.models import qwen2
from mlcx.nn.attention import NormedAttention
from mlcx.nn.causal_lm import heads_of
from mlcx.nn.kv_cache import PagedKVCache

__all__ = ["Attention", "Model"]

_AnyConfig = TypeVar("_AnyConfig", bound=Config)


class Attention(NormedAttention):
    """With a norm for each head, and biases if the config says so."""

    def __init__(self, config: Config) -> None:
        width, bias = config.head_dim, config.attention_bias
        super().__init__(heads_of(config), (width, width), config.rms_norm_eps)
        self.c_attn = nn.Linear(config.hidden_size, self.qkv_width, bias=bias)
        self.o_proj = nn.Linear(self.width, config.hidden_size, bias=bias)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        """Map ``x`` (b, s, hidden) to (b, s, hidden), appending to ``layer``."""
        return self.o_proj(self.attend(self.c_attn(x), cache, layer))


class Model(qwen2.QwenLM[_AnyConfig]):
    """The language model, with its cache in ``dtype``."""

    def attention(self, config: _AnyConfig) -> Attention:
        """Return the attention of a new layer."""
        return Attention(config)
