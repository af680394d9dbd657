"""Rotary position embedding: the frequencies, and the kernel that rotates q and k.

Element i of a head's first half turns with element i of its second half (NeoX order)
by the angle ``position * frequency[i]``, as in Hugging Face's Llama.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tvm import tirx
from tvm.script import tirx as T
from tvm.target import Target

from mlcx.compiler.kernels.cpu.simd import float32_lanes
from mlcx.errors import BuildError

__all__ = ["frequencies", "split_rotary", "store_all"]

_PARALLEL_TOKENS = 16
"""From here on the threads' start (some microseconds) is worth it."""


def frequencies(
    theta: float, rotary_dim: int, scaling: Mapping[str, Any] | None
) -> tuple[float, ...]:
    """Return the radians per position of the ``rotary_dim / 2`` pairs of a head.

    ``scaling`` is the Hugging Face ``rope_scaling``: None, or of type default, linear
    (Chen et al., arXiv:2306.15595) or llama3 (as published with Llama 3.1).
    """
    plain = [theta ** (-2 * i / rotary_dim) for i in range(rotary_dim // 2)]
    if scaling is None:
        return tuple(plain)
    kind = scaling.get("rope_type", scaling.get("type"))
    if kind == "default":
        return tuple(plain)
    if kind == "linear":
        return tuple(f / scaling["factor"] for f in plain)
    if kind == "llama3":
        return tuple(_llama3(f, scaling) for f in plain)
    raise BuildError(
        f"rope_scaling of type {kind!r}: expected default, linear or llama3; "
        "no kernel for another one exists"
    )


def _llama3(frequency: float, scaling: Mapping[str, Any]) -> float:
    """Slow the low frequencies down, keep the high ones, blend those in between."""
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    original = scaling["original_max_position_embeddings"]
    turns = original * frequency / (2 * math.pi)
    kept = min(1.0, max(0.0, (turns - low) / (high - low)))
    return float(frequency * (kept + (1 - kept) / scaling["factor"]))


def store_all(buffer: tirx.Buffer, values: tuple[float, ...]) -> None:
    """Emit the stores of float32 constants into ``buffer``, from inside a script."""
    for i, value in enumerate(values):
        T.buffer_store(buffer, T.float32(value), [i])


def split_rotary(
    target: Target,
    num_q_heads: int,
    num_kv_heads: int,
    head_dim: int,
    turn: tuple[float, ...],
    dtype: str,
) -> tirx.PrimFunc:
    """Return the kernel that splits fused heads and rotates queries and keys.

    f(qkv (t, q+2kv, d), positions (t,) int32, q (t, q, d), k (t, kv, d), v (t, kv, d),
    apply int64): rotates by ``turn`` radians a position where ``apply`` is not 0, and
    copies the dimensions beyond ``2 * len(turn)``.
    """
    Q, KV, D, half = num_q_heads, num_kv_heads, head_dim, len(turn)
    native = float32_lanes(target)
    HL, DL = math.gcd(half, native), math.gcd(D, native)
    rest = D - 2 * half
    RL = math.gcd(rest, native) if rest else 1

    @T.inline
    def rotate(source, s, source_head, sink, head, cosine, sine):
        for i in range(half // HL):
            for l in T.vectorized(HL):
                x: T.let = source[s, source_head, i * HL + l].astype("float32")
                y: T.let = source[s, source_head, half + i * HL + l].astype("float32")
                c: T.let = cosine[i * HL + l]
                z: T.let = sine[i * HL + l]
                sink[s, head, i * HL + l] = (x * c - y * z).astype(dtype)
                sink[s, head, half + i * HL + l] = (y * c + x * z).astype(dtype)
        for i in range(rest // RL):
            for l in T.vectorized(RL):
                at: T.let = 2 * half + i * RL + l
                sink[s, head, at] = source[s, source_head, at]

    @T.inline
    def copy(source, s, source_head, sink, head):
        for i in range(D // DL):
            for l in T.vectorized(DL):
                sink[s, head, i * DL + l] = source[s, source_head, i * DL + l]

    @T.inline
    def token(s, qkv, positions, q, k, v, apply):
        if apply != 0:
            rate = T.alloc_buffer((half,), "float32")
            cosine = T.alloc_buffer((half,), "float32")
            sine = T.alloc_buffer((half,), "float32")
            store_all(rate, turn)
            for i in range(half):
                angle: T.let = positions[s].astype("float32") * rate[i]
                cosine[i] = T.cos(angle)
                sine[i] = T.sin(angle)
            for h in range(Q):
                rotate(qkv, s, h, q, h, cosine, sine)
            for h in range(KV):
                rotate(qkv, s, Q + h, k, h, cosine, sine)
        else:
            for h in range(Q):
                copy(qkv, s, h, q, h)
            for h in range(KV):
                copy(qkv, s, Q + h, k, h)
        for h in range(KV):
            copy(qkv, s, Q + KV + h, v, h)

    @T.prim_func(s_tir=True)
    def kv_split_rotary(
        qkv_: T.handle,
        positions_: T.handle,
        q_: T.handle,
        k_: T.handle,
        v_: T.handle,
        apply: T.int64,
    ) -> None:
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True, "op_pattern": 8})
        t = T.int64()
        qkv = T.match_buffer(qkv_, (t, Q + 2 * KV, D), dtype)
        positions = T.match_buffer(positions_, (t,), "int32", elem_offset=T.int64())
        q = T.match_buffer(q_, (t, Q, D), dtype)
        k = T.match_buffer(k_, (t, KV, D), dtype)
        v = T.match_buffer(v_, (t, KV, D), dtype)
        if t < _PARALLEL_TOKENS:
            for s in range(t):
                token(s, qkv, positions, q, k, v, apply)
        else:
            for s in T.parallel(t):
                token(s, qkv, positions, q, k, v, apply)

    return kv_split_rotary
