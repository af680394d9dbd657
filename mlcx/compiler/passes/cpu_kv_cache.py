"""The kernels of a KV cache on the CPU."""

from __future__ import annotations

from tvm import tirx
from tvm.target import Target

from mlcx.compiler.kernels.attention_shape import Heads
from mlcx.compiler.kernels.cpu.attention import (
    paged_decode,
    paged_prefill,
    ragged_prefill,
)
from mlcx.compiler.kernels.cpu.kv_pages import (
    compact_copy,
    copy_single_page,
    debug_get_kv,
    transpose_append,
)
from mlcx.compiler.kernels.cpu.merge_state import merge_state
from mlcx.compiler.kernels.cpu.rope import split_rotary
from mlcx.compiler.passes.kv_rotation import rotation_of
from mlcx.nn.kv_cache import KVCacheSpec

__all__ = ["cpu_kv_kernels"]


def cpu_kv_kernels(spec: KVCacheSpec, target: Target) -> list[tirx.PrimFunc]:
    """Return the kernels in the order of the runtime's arguments."""
    rotation = rotation_of(spec)
    hq, hkv, d, dtype = spec.num_q_heads, spec.num_kv_heads, spec.head_dim, spec.dtype
    heads = Heads(
        hq,
        hkv,
        d,
        dtype,
        rotation,
        window=spec.window,
        sink=spec.sink,
        layer_window=spec.layer_window,
        softcap=spec.softcap,
    )
    return [
        transpose_append(hkv, d, dtype),
        ragged_prefill(target, heads, tree=False),
        paged_prefill(target, heads),
        paged_decode(target, heads),
        paged_prefill(target, heads, sliding=True),
        paged_decode(target, heads, sliding=True),
        paged_prefill(target, heads, tree=True),
        ragged_prefill(target, heads, tree=True),
        merge_state(target, hq, d, dtype),
        split_rotary(target, hq, hkv, d, rotation, dtype),
        copy_single_page(hkv, d, dtype),
        debug_get_kv(spec.num_layers, hkv, d, dtype),
        compact_copy(hkv, d, dtype),
    ]
