"""Merging two partial attentions over disjoint keys into the first, on the GPU.

Two kernels: no logarithm may be written while another thread still reads it.
"""

from __future__ import annotations

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.gpu.launch import each
from mlcx.compiler.kernels.script import array, define, places

__all__ = ["merge_state"]


def merge_state(num_q_heads: int, head_dim: int, dtype: str) -> tirx.PrimFunc:
    """Return f(out (t, q, d), lse (t, q), other, other_lse), writing the first pair.

    The logarithms are float32, of base 2, of the sums that each output was divided by.
    """
    h, d = num_q_heads, head_dim

    def emit() -> None:
        t = T.int64()
        out, lse = array("out", (t, h, d), dtype), array("lse", (t, h), "float32")
        other = array("other", (t, h, d), dtype)
        other_lse = array("other_lse", (t, h), "float32")

        def weights(s: Expr, i: Expr) -> tuple[Expr, Expr, Expr]:
            """Return both sums, over 2 to the power of the greater logarithm."""
            peak = T.bind(T.max(lse[s, i], other_lse[s, i]))
            mine = T.bind(T.exp2(lse[s, i] - peak))
            return peak, mine, T.bind(T.exp2(other_lse[s, i] - peak))

        def element(index: Expr) -> None:
            s, i, at = places(index, [t, h, d])
            _, mine, theirs = weights(s, i)
            x = out[s, i, at].astype("float32") * mine
            y = other[s, i, at].astype("float32") * theirs
            T.buffer_store(out, ((x + y) / (mine + theirs)).astype(dtype), [s, i, at])

        def head(index: Expr) -> None:
            s, i = places(index, [t, h])
            peak, mine, theirs = weights(s, i)
            T.buffer_store(lse, peak + T.log2(mine + theirs), [s, i])

        each(t * (h * d), element)
        each(t * h, head)

    return define("attention_merge_state", emit)
