"""Rotary position embedding: the frequencies, and the kernel that rotates q and k.

Pair i of a head's elements turns by the angle ``position * frequency[i]``. Pairs are
element i of the rotated part's first half and of its second one (NeoX order), or
neighbours (GPT-J's, which Su et al., arXiv:2104.09864, describe).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T
from tvm.target import Target

from mlcx.compiler.kernels.cpu.script import (
    array,
    define,
    parallel_from,
    scalar,
    view,
)
from mlcx.compiler.kernels.cpu.simd import float32_lanes
from mlcx.errors import BuildError

__all__ = ["frequencies", "pair", "split_rotary", "store_all"]

_PARALLEL_TOKENS = 32
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


def pair(i: Expr, half: int, *, interleaved: bool) -> tuple[Expr, Expr]:
    """Return which elements of a head are pair ``i`` of ``half`` pairs."""
    return (2 * i, 2 * i + 1) if interleaved else (i, half + i)


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
    *,
    interleaved: bool = False,
) -> tirx.PrimFunc:
    """Return the kernel that splits fused heads and rotates queries and keys.

    f(qkv (t, q+2kv, d), positions (t,) int32, q (t, q, d), k (t, kv, d), v (t, kv, d),
    apply int64): rotates by ``turn`` radians a position where ``apply`` is not 0, and
    copies the dimensions beyond ``2 * len(turn)``.
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

        def token(s: Expr) -> None:
            with T.If(apply != 0):
                with T.Then():
                    circle = _circle(positions[s], turn)
                    _rotate(qkv, s, 0, q, hq, circle, native, interleaved)
                    _rotate(qkv, s, hq, k, hkv, circle, native, interleaved)
                with T.Else():
                    _copy(qkv, s, 0, q, hq, 0, native)
                    _copy(qkv, s, hq, k, hkv, 0, native)
            _copy(qkv, s, hq + hkv, v, hkv, 0, native)

        parallel_from(_PARALLEL_TOKENS, t, token)

    return define("kv_split_rotary", emit)


def _circle(position: Expr, turn: tuple[float, ...]) -> tuple[tirx.Buffer, tirx.Buffer]:
    """Emit the cosines and sines of the angles at ``position``."""
    rate, cosine, sine = (T.alloc_buffer((len(turn),), "float32") for _ in range(3))
    store_all(rate, turn)
    with T.serial(len(turn)) as i:
        angle = T.bind(position.astype("float32") * rate[i])
        T.buffer_store(cosine, T.cos(angle), [i])
        T.buffer_store(sine, T.sin(angle), [i])
    return cosine, sine


def _rotate(
    source: tirx.Buffer,
    s: Expr,
    first: int,
    sink: tirx.Buffer,
    heads: int,
    circle: tuple[tirx.Buffer, tirx.Buffer],
    native: int,
    interleaved: bool,
) -> None:
    """Rotate heads of token ``s``, from ``first`` on, into those of ``sink``."""
    cosine, sine = circle
    half = int(cosine.shape[0])
    w = math.gcd(half, native)
    with T.serial(heads) as h, T.serial(half // w) as i, T.vectorized(w) as l:
        at = i * w + l
        a, b = pair(at, half, interleaved=interleaved)
        x = source[s, first + h, a].astype("float32")
        y = source[s, first + h, b].astype("float32")
        c, z = cosine[at], sine[at]
        T.buffer_store(sink, (x * c - y * z).astype(sink.dtype), [s, h, a])
        T.buffer_store(sink, (y * c + x * z).astype(sink.dtype), [s, h, b])
    _copy(source, s, first, sink, heads, 2 * half, native)


def _copy(
    source: tirx.Buffer,
    s: Expr,
    first: int,
    sink: tirx.Buffer,
    heads: int,
    begin: int,
    native: int,
) -> None:
    """Copy the dimensions from ``begin`` on of heads from ``first`` on."""
    rest = int(sink.shape[2]) - begin
    w = math.gcd(rest, native)
    if not rest:
        return
    with T.serial(heads) as h, T.serial(rest // w) as i, T.vectorized(w) as l:
        at = begin + i * w + l
        T.buffer_store(sink, source[s, first + h, at], [s, h, at])
