"""What goes through the tokens of each sequence in order; see ``nn/recurrence.py``."""

from __future__ import annotations

import math

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T
from tvm.target import Target

from mlcx.compiler.kernels.cpu.exp import exp
from mlcx.compiler.kernels.cpu.simd import float32_lanes
from mlcx.compiler.kernels.script import array, define, parallel_from, view

__all__ = ["token_shift", "wkv5", "wkv6"]

_PARALLEL_HEADS = 8
"""From as many heads on, of all sequences, they are worked on by all threads."""


def token_shift(target: Target, width: int, dtype: str) -> tirx.PrimFunc:
    """Return f(x (s, width), before (b, width), ends (b,) int32, out (s, width))."""
    w = math.gcd(width, float32_lanes(target))

    def emit() -> None:
        s, b = T.int64(), T.int64()
        x = array("x", (s, width), dtype)
        before = array("before", (b, width), dtype)
        ends = view("ends", (b,), "int32")
        out = array("out", (s, width), dtype)

        with T.serial(b) as i:
            first = _first(ends, i)
            with T.serial(width // w) as j, T.vectorized(w) as l:
                at = j * w + l
                T.buffer_store(out, before[i, at], [first, at])
            with (
                T.serial(T.int64(1), _length(ends, i, first)) as t,
                T.serial(width // w) as j,
                T.vectorized(w) as l,
            ):
                at = j * w + l
                T.buffer_store(out, x[first + t - 1, at], [first + t, at])

    return define("token_shift", emit)


def wkv5(target: Target, heads: int, n: int, dtype: str) -> tirx.PrimFunc:
    """Return f(r, k, v, w, u, before, ends, out, after) of one layer.

    r, k and v are (s, heads * n), out the same in float32, w and u (heads, n) float32,
    before and after (b, heads, n, n) float32, ends (b,) int32.
    """
    return _wkv("wkv5", target, heads, n, dtype, by_token=False)


def wkv6(target: Target, heads: int, n: int, dtype: str) -> tirx.PrimFunc:
    """Return `wkv5` with w (s, heads * n), a channel being kept by exp(-exp(w))."""
    return _wkv("wkv6", target, heads, n, dtype, by_token=True)


def _wkv(
    name: str, target: Target, heads: int, n: int, dtype: str, *, by_token: bool
) -> tirx.PrimFunc:
    lanes = math.gcd(n, float32_lanes(target))

    def emit() -> None:
        s, b = T.int64(), T.int64()
        r, k, v = (array(each, (s, heads * n), dtype) for each in "rkv")
        w = array("w", (s, heads * n) if by_token else (heads, n), "float32")
        u = array("u", (heads, n), "float32")
        before = array("before", (b, heads, n, n), "float32")
        ends = view("ends", (b,), "int32")
        out = array("out", (s, heads * n), "float32")
        after = array("after", (b, heads, n, n), "float32")

        def head(index: Expr) -> None:
            i, h = T.bind(index // heads), T.bind(index % heads)
            with T.serial(n) as a, T.serial(n // lanes) as j, T.vectorized(lanes) as l:
                place = [i, h, a, j * lanes + l]
                T.buffer_store(after, before[tuple(place)], place)
            first = _first(ends, i)
            with T.serial(_length(ends, i, first)) as t:
                token(i, h, T.bind(first + t))

        def token(i: Expr, h: Expr, t: Expr) -> None:
            """Update the head's state, and write its part of the token's output."""
            keep = T.alloc_buffer((n,), "float32")
            total = T.alloc_buffer((n,), "float32")
            value = T.alloc_buffer((n,), "float32")
            with T.serial(n // lanes) as j, T.vectorized(lanes) as l:
                at = j * lanes + l
                kept = exp(-exp(w[t, h * n + at])) if by_token else w[h, at]
                T.buffer_store(keep, kept, [at])
                T.buffer_store(value, v[t, h * n + at].astype("float32"), [at])
                T.buffer_store(total, T.float32(0), [at])
            with T.serial(n) as a:
                key = T.bind(k[t, h * n + a].astype("float32"))
                weight = T.bind(r[t, h * n + a].astype("float32"))
                own = T.bind(key * u[h, a])
                kept = T.bind(keep[a])
                with T.unroll(n // lanes) as j, T.vectorized(lanes) as l:
                    at = j * lanes + l
                    old = after[i, h, a, at]
                    share = weight * (old + own * value[at])
                    T.buffer_store(total, total[at] + share, [at])
                    new = kept * old + key * value[at]
                    T.buffer_store(after, new, [i, h, a, at])
            with T.serial(n // lanes) as j, T.vectorized(lanes) as l:
                at = j * lanes + l
                T.buffer_store(out, total[at], [t, h * n + at])

        parallel_from(_PARALLEL_HEADS, b * heads, head)

    return define(name, emit)


def _first(ends: tirx.Buffer, i: Expr) -> Expr:
    """Return the row of sequence ``i``'s first token."""
    end = T.if_then_else(i == 0, T.int32(-1), ends[T.max(i - 1, T.int64(0))])
    return T.bind(end.astype("int64") + 1)


def _length(ends: tirx.Buffer, i: Expr, first: Expr) -> Expr:
    return T.bind(ends[i].astype("int64") + 1 - first)
