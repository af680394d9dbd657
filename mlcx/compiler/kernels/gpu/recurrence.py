"""What goes through the tokens of each sequence in order, on the GPU.

What is computed is said in ``nn/recurrence.py``; a thread keeps a column of a state.
"""

from __future__ import annotations

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.gpu.launch import each
from mlcx.compiler.kernels.script import array, define, places, view

__all__ = ["token_shift", "wkv5", "wkv6"]


def token_shift(width: int, dtype: str) -> tirx.PrimFunc:
    """Return f(x (s, width), before (b, width), ends (b,) int32, out (s, width))."""

    def emit() -> None:
        s, b = T.int64(), T.int64()
        x = array("x", (s, width), dtype)
        before = array("before", (b, width), dtype)
        ends = view("ends", (b,), "int32")
        out = array("out", (s, width), dtype)

        def element(index: Expr) -> None:
            row, at = places(index, [s, width])
            sequence = T.alloc_buffer((1,), "int32", scope="local")
            T.buffer_store(sequence, T.int32(0), [0])
            with T.serial(b) as i, T.If(ends[i] < row.astype("int32")), T.Then():
                T.buffer_store(sequence, i.astype("int32") + 1, [0])
            first = _first(ends, sequence[0].astype("int64"))
            with T.If(row == first):
                with T.Then():
                    T.buffer_store(out, before[sequence[0], at], [row, at])
                with T.Else():
                    T.buffer_store(out, x[row - 1, at], [row, at])

        each(s * width, element)

    return define("token_shift", emit)


def wkv5(heads: int, n: int, dtype: str) -> tirx.PrimFunc:
    """Return f(r, k, v, w, u, before, ends, out, after) of one layer.

    r, k and v are (s, heads * n), out the same in float32, w and u (heads, n) float32,
    before and after (b, heads, n, n) float32, ends (b,) int32.
    """
    return _wkv("wkv5", heads, n, dtype, by_token=False)


def wkv6(heads: int, n: int, dtype: str) -> tirx.PrimFunc:
    """Return `wkv5` with w (s, heads * n), a channel being kept by exp(-exp(w))."""
    return _wkv("wkv6", heads, n, dtype, by_token=True)


def _wkv(name: str, heads: int, n: int, dtype: str, *, by_token: bool) -> tirx.PrimFunc:
    def emit() -> None:
        s, b = T.int64(), T.int64()
        r, k, v = (array(each, (s, heads * n), dtype) for each in "rkv")
        w = array("w", (s, heads * n) if by_token else (heads, n), "float32")
        u = array("u", (heads, n), "float32")
        before = array("before", (b, heads, n, n), "float32")
        ends = view("ends", (b,), "int32")
        out = array("out", (s, heads * n), "float32")
        after = array("after", (b, heads, n, n), "float32")

        def column(index: Expr) -> None:
            i, h, at = places(index, [b, heads, n])
            state = T.alloc_buffer((n,), "float32", scope="local")
            with T.serial(n) as a:
                T.buffer_store(state, before[i, h, a, at], [a])
            first = _first(ends, i)
            with T.serial(ends[i].astype("int64") + 1 - first) as step:
                token(h, at, T.bind(first + step), state)
            with T.serial(n) as a:
                T.buffer_store(after, state[a], [i, h, a, at])

        def token(h: Expr, at: Expr, t: Expr, state: tirx.Buffer) -> None:
            value = T.bind(v[t, h * n + at].astype("float32"))
            total = T.alloc_buffer((1,), "float32", scope="local")
            T.buffer_store(total, T.float32(0), [0])
            with T.serial(n) as a:
                place = T.bind(h * n + a)
                pair = T.bind(k[t, place].astype("float32") * value)
                old = T.bind(state[a])
                weight = r[t, place].astype("float32")
                share = weight * (old + u[h, a] * pair)
                T.buffer_store(total, total[0] + share, [0])
                kept = T.exp(-T.exp(w[t, place])) if by_token else w[h, a]
                T.buffer_store(state, kept * old + pair, [a])
            T.buffer_store(out, total[0], [t, h * n + at])

        each(b * (heads * n), column)

    return define(name, emit)


def _first(ends: tirx.Buffer, i: Expr) -> Expr:
    """Return the row of sequence ``i``'s first token."""
    end = T.if_then_else(i == 0, T.int32(-1), ends[T.max(i - 1, T.int64(0))])
    return T.bind(end.astype("int64") + 1)
