"""The kernels of a KV cache on a GPU: TVM's attention, and a rotation of our own."""

from __future__ import annotations

from collections.abc import Iterator

from tvm import tirx
from tvm.relax.frontend.nn.llm import kv_cache
from tvm.target import Target

from mlcx.compiler.kernels.gpu.merge_state import merge_state
from mlcx.compiler.kernels.gpu.rope import split_heads, split_rotary
from mlcx.compiler.passes.kv_rotation import rotation_of
from mlcx.errors import BuildError
from mlcx.nn.kv_cache import KVCacheSpec

__all__ = ["gpu_kv_kernels"]

_PAGE_SIZE = 16
"""That of every engine; kernels for GPUs know no other."""

_LEAST_WIDTH = 32
"""Of heads: with less, prefill is wrong where a tile of 16 queries is not full."""

_ROTATED_BEFORE: dict[str, str] = {}
"""Scaling of a rotation inside attention, which is never asked for."""


def gpu_kv_kernels(spec: KVCacheSpec, target: Target) -> list[tirx.PrimFunc]:
    """Return the kernels in the order of the runtime's arguments.

    Raises:
        BuildError: The model asks for what these kernels do not do.
    """
    _refuse(spec, target)
    hq, hkv, d, dtype = spec.num_q_heads, spec.num_kv_heads, spec.head_dim, spec.dtype
    heads = (hkv, hq, d, dtype)
    last = (_ROTATED_BEFORE, target)
    return [
        kv_cache._kv_cache_transpose_append(hkv, d, dtype, _PAGE_SIZE),
        kv_cache._attention_prefill_ragged(hkv, hq, d, d, dtype, *last),
        kv_cache._attention_prefill(*heads, False, *last),
        kv_cache._attention_decode(*heads, False, *last),
        kv_cache._attention_prefill(*heads, True, *last),
        kv_cache._attention_decode(*heads, True, *last),
        kv_cache.tree_attn_with_paged_kv_cache(*heads, *last),
        kv_cache.tree_attn(*heads, *last),
        # TVM's lets threads read a logarithm that others have replaced already.
        merge_state(hq, d, dtype),
        _split(spec),
        kv_cache._copy_single_page(hkv, _PAGE_SIZE, d, dtype, target),
        kv_cache._kv_cache_debug_get_kv(spec.num_layers, hkv, d, dtype),
        kv_cache._compact_kv_copy(hkv, d, dtype, target, _PAGE_SIZE),
    ]


def _split(spec: KVCacheSpec) -> tirx.PrimFunc:
    heads = spec.num_q_heads, spec.num_kv_heads, spec.head_dim
    if spec.rotary_dim:
        return split_rotary(*heads, rotation_of(spec), spec.dtype)
    return split_heads(*heads, spec.dtype)


def _refuse(spec: KVCacheSpec, target: Target) -> None:
    options = ", ".join(_beyond(spec))
    if options:
        raise BuildError(
            f"target {target.kind.name}: its attention kernels do not do {options}, "
            "which this model asks for; compile for the device cpu"
        )


def _beyond(spec: KVCacheSpec) -> Iterator[str]:
    """Name what the kernels lack."""
    if spec.head_dim < _LEAST_WIDTH:
        yield f"heads of {spec.head_dim} dimensions (but {_LEAST_WIDTH} and more)"
    if spec.softcap is not None:
        yield f"the soft cap of scores ({spec.softcap:g})"
    if spec.layer_window is not None:
        yield f"a window in some of the layers ({spec.layer_window} tokens)"
