"""Self-attention over the paged KV cache, with fused query, key and value."""

from __future__ import annotations

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.nn.kv_cache import PagedKVCache

__all__ = ["Attention"]


class Attention(nn.Module):
    """Grouped-query attention; the cache rotates queries and keys and attends.

    Args:
        hidden_size: Width of the input and of the output.
        num_q_heads: Query heads, a multiple of ``num_kv_heads``.
        num_kv_heads: Key and value heads.
        head_dim: Width of a head.
    """

    def __init__(
        self, hidden_size: int, num_q_heads: int, num_kv_heads: int, head_dim: int
    ) -> None:
        self.num_q_heads = num_q_heads
        self.num_kv_heads = num_kv_heads
        self.head_dim = head_dim
        heads = num_q_heads + 2 * num_kv_heads
        self.qkv_proj = nn.Linear(hidden_size, heads * head_dim, bias=False)
        self.o_proj = nn.Linear(num_q_heads * head_dim, hidden_size, bias=False)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        """Map ``x`` (b, s, hidden) to (b, s, hidden), appending to layer ``layer``."""
        b, s, _ = x.shape
        heads = self.num_q_heads + 2 * self.num_kv_heads
        qkv = op.reshape(self.qkv_proj(x), (b, s, heads, self.head_dim))
        out = cache.attention_with_fused_qkv(
            layer, qkv, self.num_q_heads, sm_scale=self.head_dim**-0.5
        )
        width = self.num_q_heads * self.head_dim
        return self.o_proj(op.reshape(out, (b, s, width)))
