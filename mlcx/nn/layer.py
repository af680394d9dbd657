"""A decoder layer: attention and feed-forward, with norms and residuals."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tvm.relax.frontend import nn

from mlcx.nn.attention import SelfAttention
from mlcx.nn.kv_cache import PagedKVCache

__all__ = ["PreNormLayer", "SandwichLayer", "in_turn"]


def in_turn(
    layers: Iterable[nn.Module], x: nn.Tensor, cache: PagedKVCache
) -> nn.Tensor:
    """Pass ``x`` (b, s, h) through layers, maps of (x, cache, number of the layer)."""
    for index, layer in enumerate(layers):
        x = layer(x, cache, index)
    return x


class PreNormLayer(nn.Module):
    """Attention, then feed-forward, each behind a norm and beside a residual.

    Args:
        attention: Maps (x, cache, layer).
        mlp: Maps x.
        norm: Makes one norm.
    """

    def __init__(
        self, attention: SelfAttention, mlp: nn.Module, norm: Callable[[], nn.Module]
    ) -> None:
        self.self_attn = attention
        self.mlp = mlp
        self.input_layernorm = norm()
        self.post_attention_layernorm = norm()

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        """Map ``x`` (b, s, h) to (b, s, h)."""
        x = x + self.self_attn(self.input_layernorm(x), cache, layer)
        return x + self.mlp(self.post_attention_layernorm(x))


class SandwichLayer(nn.Module):
    """Attention, then feed-forward, each between two norms and beside a residual.

    Args:
        attention: Maps (x, cache, layer).
        mlp: Maps x.
        norm: Makes one norm.
    """

    def __init__(
        self, attention: SelfAttention, mlp: nn.Module, norm: Callable[[], nn.Module]
    ) -> None:
        self.self_attn = attention
        self.mlp = mlp
        self.input_layernorm = norm()
        self.post_attention_layernorm = norm()
        self.pre_feedforward_layernorm = norm()
        self.post_feedforward_layernorm = norm()

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        """Map ``x`` (b, s, h) to (b, s, h)."""
        attended = self.self_attn(self.input_layernorm(x), cache, layer)
        x = x + self.post_attention_layernorm(attended)
        fed = self.mlp(self.pre_feedforward_layernorm(x))
        return x + self.post_feedforward_layernorm(fed)
