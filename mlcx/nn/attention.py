"""Self-attention over the paged KV cache, with fused query, key and value."""

from __future__ import annotations

from collections.abc import Callable

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.nn.kv_cache import Heads, PagedKVCache

__all__ = ["Attention", "NormedAttention", "SelfAttention"]

_Map = Callable[[nn.Tensor], nn.Tensor]


class SelfAttention(nn.Module):
    """Grouped-query attention; the cache rotates queries and keys and attends.

    A subclass adds the projections, under the names of its architecture.
    """

    def __init__(self, heads: Heads) -> None:
        self.heads = heads
        self.width = heads.num_q_heads * heads.head_dim
        """Of all heads' outputs."""
        self.qkv_width = self.width + 2 * heads.num_kv_heads * heads.head_dim
        """Of all queries, all keys and all values, in this order."""
        self.scale = heads.head_dim**-0.5
        """Of the scores."""

    def slides(self, layer: int) -> bool:
        """Say whether ``layer`` sees no more than the cache's ``layer_window``."""
        return False

    def attend(self, qkv: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        """Map ``qkv`` (b, s, qkv_width) to (b, s, width), appending to ``layer``."""
        b, s, _ = qkv.shape
        queries, width = self.heads.num_q_heads, self.heads.head_dim
        qkv = op.reshape(qkv, (b, s, self.qkv_width // width, width))
        out = cache.attend(layer, qkv, queries, self.scale, slides=self.slides(layer))
        return op.reshape(out, (b, s, self.width))

    def normalized(self, qkv: nn.Tensor, queries: _Map, keys: _Map) -> nn.Tensor:
        """Return ``qkv`` (b, s, qkv_width) with its queries and keys mapped."""
        keys_end = (self.width + self.qkv_width) // 2
        q, k, v = op.split(qkv, [self.width, keys_end], axis=-1)
        return op.concat([queries(q), keys(k), v], -1)


class Attention(SelfAttention):
    """With the projections ``qkv_proj`` and ``o_proj``, without biases."""

    def __init__(self, hidden_size: int, heads: Heads) -> None:
        super().__init__(heads)
        self.qkv_proj = nn.Linear(hidden_size, self.qkv_width, bias=False)
        self.o_proj = nn.Linear(self.width, hidden_size, bias=False)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        """Map ``x`` (b, s, hidden) to (b, s, hidden), appending to ``layer``."""
        return self.o_proj(self.attend(self.qkv_proj(x), cache, layer))


class NormedAttention(SelfAttention):
    """Whose queries and keys have a mean square of 1 before they are rotated.

    Args:
        heads: Heads.
        widths: How many dimensions of all queries, and of all keys, share a mean.
        epsilon: Added to the means.
    """

    def __init__(self, heads: Heads, widths: tuple[int, int], epsilon: float) -> None:
        super().__init__(heads)
        self.widths = widths
        queries, keys = widths
        self.q_norm = nn.RMSNorm(queries, -1, epsilon, bias=False)
        self.k_norm = nn.RMSNorm(keys, -1, epsilon, bias=False)

    def attend(self, qkv: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        """Map ``qkv`` (b, s, qkv_width) to (b, s, width), appending to ``layer``."""
        queries, keys = self.widths
        qkv = self.normalized(
            qkv, _over(self.q_norm, queries), _over(self.k_norm, keys)
        )
        return super().attend(qkv, cache, layer)


def _over(norm: nn.Module, width: int) -> _Map:
    """Return what applies ``norm`` to each ``width`` elements of rows (b, s, n)."""

    def each(x: nn.Tensor) -> nn.Tensor:
        b, s, n = x.shape
        return op.reshape(norm(op.reshape(x, (b, s, n // width, width))), (b, s, n))

    return each
