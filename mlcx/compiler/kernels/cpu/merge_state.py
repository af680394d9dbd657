"""The kernel that merges two partial attentions over disjoint keys into the first."""

from __future__ import annotations

import math

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T
from tvm.target import Target

from mlcx.compiler.kernels.cpu.exp import exp2
from mlcx.compiler.kernels.cpu.simd import float32_lanes
from mlcx.compiler.kernels.script import array, define, parallel_from

__all__ = ["merge_state"]

_PARALLEL_TOKENS = 32


def merge_state(
    target: Target, num_q_heads: int, head_dim: int, dtype: str
) -> tirx.PrimFunc:
    """Return f(out (t, q, d), lse (t, q), other, other_lse), writing the first pair.

    The logarithms are float32, of base 2, of the sums that each output was divided by.
    """
    h, d = num_q_heads, head_dim
    w = math.gcd(d, float32_lanes(target))

    def emit() -> None:
        t = T.int64()
        out, lse = array("out", (t, h, d), dtype), array("lse", (t, h), "float32")
        other = array("other", (t, h, d), dtype)
        other_lse = array("other_lse", (t, h), "float32")

        def token(s: Expr) -> None:
            with T.serial(h) as i:
                # As 2**a / (2**a + 2**b), of the difference only: nothing overflows.
                peak = T.bind(T.max(lse[s, i], other_lse[s, i]))
                mine = T.bind(exp2(lse[s, i] - peak))
                theirs = T.bind(exp2(other_lse[s, i] - peak))
                share = T.bind(T.float32(1) / (mine + theirs))
                with T.serial(d // w) as j, T.vectorized(w) as l:
                    at = j * w + l
                    x = out[s, i, at].astype("float32") * (mine * share)
                    y = other[s, i, at].astype("float32") * (theirs * share)
                    T.buffer_store(out, (x + y).astype(dtype), [s, i, at])
                T.buffer_store(lse, peak + T.log2(mine + theirs), [s, i])

        parallel_from(_PARALLEL_TOKENS, t, token)

    return define("attention_merge_state", emit)
