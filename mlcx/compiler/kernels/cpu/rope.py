"""Rotary position embedding: the kernels that rotate queries and keys."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T
from tvm.target import Target

from mlcx.compiler.kernels.cpu.simd import float32_lanes
from mlcx.compiler.kernels.rotation import Rotation
from mlcx.compiler.kernels.script import (
    array,
    define,
    parallel_from,
    scalar,
    view,
)

__all__ = ["circle", "join_rotary", "pair", "split_rotary"]

_PARALLEL_TOKENS = 32
"""From here on the threads' start (some microseconds) is worth it."""


def pair(i: Expr, rotation: Rotation) -> tuple[Expr, Expr]:
    """Return which elements of a head are pair ``i``."""
    if rotation.interleaved:
        return 2 * i, 2 * i + 1
    return i, rotation.half + i


def circle(position: Expr, rotation: Rotation) -> tuple[tirx.Buffer, tirx.Buffer]:
    """Emit the cosines and sines at ``position``, multiplied by the amplitude."""
    half = rotation.half
    rate, cosine, sine = (T.alloc_buffer((half,), "float32") for _ in range(3))
    for i, value in enumerate(rotation.frequencies):
        T.buffer_store(rate, T.float32(value), [i])
    with T.serial(half) as i:
        angle = T.bind(position.astype("float32") * rate[i])
        T.buffer_store(cosine, _times(T.cos(angle), rotation.amplitude), [i])
        T.buffer_store(sine, _times(T.sin(angle), rotation.amplitude), [i])
    return cosine, sine


def _times(value: Expr, factor: float) -> Expr:
    return value if factor == 1 else value * T.float32(factor)


def split_rotary(
    target: Target,
    num_q_heads: int,
    num_kv_heads: int,
    head_dim: int,
    rotation: Rotation,
    dtype: str,
) -> tirx.PrimFunc:
    """Return the kernel that splits fused heads and rotates queries and keys.

    f(qkv (t, q+2kv, d), positions (t,) int32, q (t, q, d), k (t, kv, d), v (t, kv, d),
    apply int64): rotates where ``apply`` is not 0, and copies the dimensions beyond the
    pairs of ``rotation``.
    """
    hq, hkv, d = num_q_heads, num_kv_heads, head_dim
    native = float32_lanes(target)

    def emit() -> None:
        t = T.int64()
        qkv = array("qkv", (t, hq + 2 * hkv, d), dtype)
        positions = view("positions", (t,), "int32")
        q = array("q", (t, hq, d), dtype)
        k = array("k", (t, hkv, d), dtype)
        v = array("v", (t, hkv, d), dtype)
        apply = scalar("apply", "int64")
        queries = _Move(qkv, 0, q, 0, hq, native)
        keys = _Move(qkv, hq, k, 0, hkv, native)
        values = _Move(qkv, hq + hkv, v, 0, hkv, native)

        def token(s: Expr) -> None:
            if not rotation.half:
                _copy((queries, keys, values), s)
                return
            with T.If(apply != 0):
                with T.Then():
                    _rotate((queries, keys), s, positions[s], rotation)
                with T.Else():
                    _copy((queries, keys), s)
            _copy((values,), s)

        parallel_from(_PARALLEL_TOKENS, t, token)

    return define("kv_split_rotary", emit)


def join_rotary(
    target: Target,
    num_q_heads: int,
    num_kv_heads: int,
    head_dim: int,
    rotation: Rotation,
    dtype: str,
) -> tirx.PrimFunc:
    """Return the kernel that rotates queries and keys, and fuses heads.

    f(q (t, q, d), k (t, kv, d), v (t, kv, d), positions (t,) int32, qkv (t, q+2kv, d)).
    """
    hq, hkv, d = num_q_heads, num_kv_heads, head_dim
    native = float32_lanes(target)

    def emit() -> None:
        t = T.int64()
        q = array("q", (t, hq, d), dtype)
        k = array("k", (t, hkv, d), dtype)
        v = array("v", (t, hkv, d), dtype)
        positions = view("positions", (t,), "int32")
        qkv = array("qkv", (t, hq + 2 * hkv, d), dtype)
        queries = _Move(q, 0, qkv, 0, hq, native)
        keys = _Move(k, 0, qkv, hq, hkv, native)
        values = _Move(v, 0, qkv, hq + hkv, hkv, native)

        def token(s: Expr) -> None:
            _rotate((queries, keys), s, positions[s], rotation)
            _copy((values,), s)

        parallel_from(_PARALLEL_TOKENS, t, token)

    return define("join_rotary", emit)


@dataclass(frozen=True)
class _Move:
    """Some heads of (tokens, heads, d), and those of another buffer to write."""

    source: tirx.Buffer
    source_first: int
    sink: tirx.Buffer
    sink_first: int
    heads: int
    native: int
    """Lanes of a vector."""

    def load(self, s: Expr, h: Expr, at: Expr) -> Expr:
        return self.source[s, self.source_first + h, at]

    def store(self, value: Expr, s: Expr, h: Expr, at: Expr) -> None:
        sink = self.sink
        T.buffer_store(sink, value.astype(sink.dtype), [s, self.sink_first + h, at])


def _rotate(
    moves: Sequence[_Move], s: Expr, position: Expr, rotation: Rotation
) -> None:
    """Emit the moves of token ``s``, rotated."""
    cosine, sine = circle(position, rotation)
    half = rotation.half
    for move in moves:
        w = math.gcd(half, move.native)
        with T.serial(move.heads) as h, T.serial(half // w) as i, T.vectorized(w) as l:
            at = i * w + l
            a, b = pair(at, rotation)
            x = move.load(s, h, a).astype("float32")
            y = move.load(s, h, b).astype("float32")
            c, z = cosine[at], sine[at]
            move.store(x * c - y * z, s, h, a)
            move.store(y * c + x * z, s, h, b)
    _copy(moves, s, begin=2 * half)


def _copy(moves: Sequence[_Move], s: Expr, *, begin: int = 0) -> None:
    """Emit the moves of token ``s``, of the dimensions from ``begin`` on."""
    for move in moves:
        rest = int(move.sink.shape[2]) - begin
        w = math.gcd(rest, move.native)
        if not rest:
            continue
        with T.serial(move.heads) as h, T.serial(rest // w) as i, T.vectorized(w) as l:
            at = begin + i * w + l
            move.store(move.load(s, h, at), s, h, at)
