"""The paged KV cache as a model sees it: created by a placeholder, then attended to.

A model does not know the device, so it only says what cache it needs; a pass of the
compiler puts the device's kernels into the creation (``passes/lower_kv_cache.py``).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from tvm import ir, relax, tirx
from tvm.relax.frontend import nn
from tvm.relax.frontend.nn.llm import kv_cache

__all__ = ["CREATE_KV_CACHE", "Heads", "KVCacheSpec", "PagedKVCache"]

CREATE_KV_CACHE = "mlcx.create_paged_kv_cache"
"""Packed function called with Shape(5) and a JSON string; never reaches a library."""


@dataclass(frozen=True)
class Heads:
    """Query heads, the key heads that they share evenly, and the width of each."""

    num_q_heads: int
    num_kv_heads: int
    head_dim: int


@dataclass(frozen=True)
class KVCacheSpec:
    """What a model asks of its KV cache; sizes are per layer and per shard."""

    num_layers: int
    num_q_heads: int
    num_kv_heads: int
    head_dim: int
    rotary_dim: int
    """Of each head, how much the cache rotates; 0: what it gets stays as it is."""
    rope_theta: float
    rope_scaling: dict[str, Any] | None
    """As in a Hugging Face config: ``rope_type`` and its parameters."""
    dtype: str
    window: int | None = None
    """Tokens that a token sees at most, itself included, when the cache slides."""
    sink: int = 0
    """How many of them are the sequence's first ones."""
    interleaved: bool = False
    """Whether neighbours turn together, as in GPT-J, not a head's two halves."""
    layer_window: int | None = None
    """Tokens that a token sees at most, itself included, in layers that slide while the
    cache keeps all; which those are, each says (`PagedKVCache.attend`)."""
    softcap: float | None = None
    """Scores s become ``softcap * tanh(s / softcap)``."""

    @classmethod
    def of(
        cls,
        heads: Heads,
        *,
        num_layers: int,
        dtype: str,
        rope_theta: float = 10000.0,
        rope_scaling: dict[str, Any] | None = None,
        rotary_dim: int | None = None,
        window: int | None = None,
        sink: int = 0,
        interleaved: bool = False,
        layer_window: int | None = None,
        softcap: float | None = None,
    ) -> KVCacheSpec:
        """Return the cache of equal layers; all of a head rotates unless said."""
        return cls(
            num_layers=num_layers,
            **asdict(heads),
            rotary_dim=heads.head_dim if rotary_dim is None else rotary_dim,
            rope_theta=rope_theta,
            rope_scaling=rope_scaling,
            dtype=dtype,
            window=window,
            sink=sink,
            interleaved=interleaved,
            layer_window=layer_window,
            softcap=softcap,
        )


class PagedKVCache(kv_cache.PagedKVCache):
    """The cache object inside a model's functions."""

    def attend(
        self, layer: int, qkv: nn.Tensor, queries: int, scale: float, *, slides: bool
    ) -> nn.Tensor:
        """Append to ``layer``, and attend.

        Runtimes hand a layer's kernels nothing of its own but the scale, so that its
        sign says whether the layer ``slides``, behind `KVCacheSpec.layer_window`.

        Args:
            layer: Its number.
            qkv: (b, s, heads, head_dim), queries, keys and values one after the other.
            queries: Heads of them.
            scale: Of the scores, more than 0.
            slides: See there.

        Returns:
            (b, s, queries, head_dim).
        """
        signed = -scale if slides else scale
        return self.attention_with_fused_qkv(layer, qkv, queries, sm_scale=signed)

    def get_query_positions(self, total_length: tirx.Expr) -> nn.Tensor:
        """Return the place of each token in its sequence, int32 (total_length,).

        That many a runtime has when what it was told of a call agrees with what is
        passed to it; the library checks it, as the kernels that follow do not.
        """
        name = "vm.builtin.attention_kv_cache_get_query_positions"
        some = relax.TensorType(dtype="int32", ndim=1)
        builder = relax.BlockBuilder.current()
        found = builder.emit(relax.call_pure_packed(name, self._expr, ty_args=some))
        known = relax.TensorType((total_length,), "int32")
        return nn.Tensor(_expr=builder.match_cast(found, known))

    @staticmethod
    def create(
        spec: KVCacheSpec,
        max_batch_size: tirx.Var,
        max_total_seq_len: tirx.Var,
        prefill_chunk_size: tirx.Var,
        page_size: tirx.Var,
        support_sliding_window: tirx.Var,
    ) -> PagedKVCache:
        """Emit the placeholder that creates a cache of the five sizes given."""
        sizes = relax.ShapeExpr(
            [
                max_batch_size,
                max_total_seq_len,
                prefill_chunk_size,
                page_size,
                support_sliding_window,
            ]
        )
        text = ir.StringImm(json.dumps(asdict(spec), sort_keys=True))
        call = relax.call_pure_packed(
            CREATE_KV_CACHE, sizes, text, ty_args=relax.AnyType()
        )
        return PagedKVCache(_expr=call, _name="paged_kv_cache")
