"""Self-attention over the paged KV cache, with fused query, key and value."""

from __future__ import annotations

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.nn.kv_cache import Heads, PagedKVCache

__all__ = ["Attention", "SelfAttention"]


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

    def attend(self, qkv: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        """Map ``qkv`` (b, s, qkv_width) to (b, s, width), appending to ``layer``."""
        b, s, _ = qkv.shape
        queries, width = self.heads.num_q_heads, self.heads.head_dim
        qkv = op.reshape(qkv, (b, s, self.qkv_width // width, width))
        out = cache.attention_with_fused_qkv(layer, qkv, queries, sm_scale=width**-0.5)
        return op.reshape(out, (b, s, self.width))


class Attention(SelfAttention):
    """With the projections ``qkv_proj`` and ``o_proj``, without biases."""

    def __init__(self, hidden_size: int, heads: Heads) -> None:
        super().__init__(heads)
        self.qkv_proj = nn.Linear(hidden_size, self.qkv_width, bias=False)
        self.o_proj = nn.Linear(self.width, hidden_size, bias=False)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        """Map ``x`` (b, s, hidden) to (b, s, hidden), appending to ``layer``."""
        return self.o_proj(self.attend(self.qkv_proj(x), cache, layer))
