"""The kernels of a KV cache on a GPU.

Plain attention is TVM's, which is fast on many rows. Where a model asks for more,
attention is our own: soft caps, windows of layers or of the cache, narrow heads.
"""

from __future__ import annotations

from tvm import tirx
from tvm.relax.frontend.nn.llm import kv_cache
from tvm.target import Target

from mlcx.compiler.frames import plain_frames
from mlcx.compiler.kernels import attention
from mlcx.compiler.kernels.attention_shape import Heads
from mlcx.compiler.kernels.gpu.attention import BlocksOfThreads
from mlcx.compiler.kernels.gpu.attention_rotation import follows_law
from mlcx.compiler.kernels.gpu.merge_state import merge_state
from mlcx.compiler.kernels.gpu.refused import refused
from mlcx.compiler.kernels.gpu.rope import split_heads, split_rotary
from mlcx.compiler.passes.kv_rotation import rotation_of
from mlcx.errors import BuildError
from mlcx.nn.kv_cache import KVCacheSpec

__all__ = ["gpu_kv_kernels"]

_PAGE_SIZE = 16
"""That of every engine; TVM's kernels for GPUs know no other."""

_LEAST_WIDTH = 32
"""Of heads: with less, TVM's prefill is wrong where 16 queries fill no tile."""

_TOO_MANY = (
    "token trees over the pages of a cache: with layers of which some have a window, "
    "their attention reads 12 buffers, of which a kernel of WebGPU has 10"
)

_ROTATED_BEFORE: dict[str, str] = {}
"""Scaling of a rotation inside TVM's attention, which is never asked for."""


def gpu_kv_kernels(spec: KVCacheSpec, target: Target) -> list[tirx.PrimFunc | None]:
    """Return the kernels in the order of the runtime's arguments.

    None stands for those over a window of the cache where the model has none.

    Raises:
        BuildError: The model asks for what these kernels do not do.
    """
    with plain_frames():
        return _kernels(spec, target)


def _kernels(spec: KVCacheSpec, target: Target) -> list[tirx.PrimFunc | None]:
    hq, hkv, d, dtype = spec.num_q_heads, spec.num_kv_heads, spec.head_dim, spec.dtype
    return [
        kv_cache._kv_cache_transpose_append(hkv, d, dtype, _PAGE_SIZE),
        *(_own(spec, target) if _beyond(spec) else _plain(spec, target)),
        # TVM's lets threads read a logarithm that others have replaced already.
        merge_state(hq, d, dtype),
        _split(spec),
        kv_cache._copy_single_page(hkv, _PAGE_SIZE, d, dtype, target),
        kv_cache._kv_cache_debug_get_kv(spec.num_layers, hkv, d, dtype),
        kv_cache._compact_kv_copy(hkv, d, dtype, target, _PAGE_SIZE),
    ]


def _beyond(spec: KVCacheSpec) -> bool:
    """Say whether TVM's kernels do not do what a model asks for."""
    more = (spec.window, spec.layer_window, spec.softcap)
    return more != (None, None, None) or spec.head_dim < _LEAST_WIDTH


def _plain(spec: KVCacheSpec, target: Target) -> list[tirx.PrimFunc | None]:
    hq, hkv, d, dtype = spec.num_q_heads, spec.num_kv_heads, spec.head_dim, spec.dtype
    heads, last = (hkv, hq, d, dtype), (_ROTATED_BEFORE, target)
    return [
        kv_cache._attention_prefill_ragged(hkv, hq, d, d, dtype, *last),
        kv_cache._attention_prefill(*heads, False, *last),
        kv_cache._attention_decode(*heads, False, *last),
        None,
        None,
        kv_cache.tree_attn_with_paged_kv_cache(*heads, *last),
        kv_cache.tree_attn(*heads, *last),
    ]


def _own(spec: KVCacheSpec, target: Target) -> list[tirx.PrimFunc | None]:
    rotation = rotation_of(spec)
    if spec.window is not None and rotation.half and not follows_law(rotation):
        raise BuildError(
            f"target {target.kind.name}: rope_scaling {spec.rope_scaling}, expected "
            "none or linear, which alone GPUs do in a sliding window; compile without "
            "sliding_window_size or for the device cpu"
        )
    heads = Heads(
        spec.num_q_heads,
        spec.num_kv_heads,
        spec.head_dim,
        spec.dtype,
        rotation,
        window=spec.window,
        sink=spec.sink,
        layer_window=spec.layer_window,
        softcap=spec.softcap,
    )
    many, one = (BlocksOfThreads(heads, decodes=each) for each in (False, True))
    tree = attention.paged_prefill(many, tree=True)
    if target.kind.name == "webgpu" and spec.layer_window is not None:
        tree = refused(tree, _TOO_MANY)
    return [
        attention.ragged_prefill(many, tree=False),
        attention.paged_prefill(many),
        attention.paged_decode(one),
        attention.paged_prefill(many, sliding=True) if spec.window else None,
        attention.paged_decode(one, sliding=True) if spec.window else None,
        tree,
        attention.ragged_prefill(many, tree=True),
    ]


def _split(spec: KVCacheSpec) -> tirx.PrimFunc:
    heads = spec.num_q_heads, spec.num_kv_heads, spec.head_dim
    # Of a cache that slides, attention rotates what it reads.
    if spec.rotary_dim and spec.window is None:
        return split_rotary(*heads, rotation_of(spec), spec.dtype)
    return split_heads(*heads, spec.dtype)
