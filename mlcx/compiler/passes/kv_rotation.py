"""How a KV cache turns what it is given, from what a model asks of it."""

from __future__ import annotations

from mlcx.compiler.kernels.rotation import Rotation, frequencies
from mlcx.nn.kv_cache import KVCacheSpec

__all__ = ["rotation_of"]


def rotation_of(spec: KVCacheSpec) -> Rotation:
    """Return how queries and keys turn; of no pairs where the cache rotates nothing."""
    turn = frequencies(spec.rope_theta, spec.rotary_dim, spec.rope_scaling)
    scaling = spec.rope_scaling or {}
    return Rotation(turn, spec.interleaved, scaling.get("attention_factor", 1.0))
