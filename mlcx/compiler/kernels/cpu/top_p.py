"""Cutting rows of probabilities down to their nucleus without sorting them."""

from __future__ import annotations

from tvm import tirx
from tvm.script import tirx as T

__all__ = ["renormalize_by_top_p"]

_PIVOTS = 3


def renormalize_by_top_p(vocab_size: int, lanes: int) -> tirx.PrimFunc:
    """Return f(probs (B, V) f32, top_p (B,) f32, init_pivots (B, 3) f32, out (B, V)).

    Each row keeps the values of at least t, where t is the greatest value such that
    they sum to ``top_p`` or more, divided by that sum; the others become 0. So equal
    values stay or go together. Everything stays if the row sums to less than
    ``top_p`` or ``top_p`` is 1; the maximum stays always. Probabilities are not
    negative, so t is found by a search for its bits, three pivots to a pass, begun
    with ``init_pivots``: at most 17 passes, whatever those are.
    """
    V, L = vocab_size, lanes
    vectors = V // L

    @T.prim_func(s_tir=True)
    def renormalize(
        var_probs: T.handle,
        var_top_p: T.handle,
        var_init_pivots: T.handle,
        var_out: T.handle,
    ) -> None:
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True, "op_pattern": 8})
        B = T.int64()
        probs = T.match_buffer(var_probs, (B, V), "float32", elem_offset=T.int64())
        top_p = T.match_buffer(var_top_p, (B,), "float32", elem_offset=T.int64())
        init_pivots = T.match_buffer(
            var_init_pivots, (B, _PIVOTS), "float32", elem_offset=T.int64()
        )
        out = T.match_buffer(var_out, (B, V), "float32")
        for r in T.parallel(B):
            low = T.alloc_buffer((1,), "int32")  # bits: enough mass at or above
            high = T.alloc_buffer((1,), "int32")  # bits: too little mass at or above
            kept = T.alloc_buffer((1,), "float64")  # the mass at or above `low`
            peak = T.alloc_buffer((1,), "float32")
            pivots = T.alloc_buffer((_PIVOTS,), "int32")
            lane_mass = T.alloc_buffer((_PIVOTS, L), "float64")
            mass = T.alloc_buffer((_PIVOTS,), "float64")
            peak[0] = T.float32(0)
            kept[0] = T.float64(0)
            for v in range(V):
                peak[0] = T.max(peak[0], probs[r, v])
                kept[0] += T.Cast("float64", probs[r, v])
            low[0] = 0
            high[0] = T.reinterpret("int32", peak[0]) + 1
            if top_p[r] >= T.float32(1):
                high[0] = 0
            for k in T.unroll(_PIVOTS):
                pivots[k] = T.reinterpret("int32", init_pivots[r, k])
            while high[0] - low[0] > 1:
                for k in T.unroll(_PIVOTS):
                    pivots[k] = T.max(low[0], T.min(high[0] - 1, pivots[k]))
                    mass[k] = T.float64(0)
                    for l in T.vectorized(L):
                        lane_mass[k, l] = T.float64(0)
                for j in range(vectors):
                    for k in T.unroll(_PIVOTS):
                        for l in T.vectorized(L):
                            x: T.let[T.float32] = probs[r, j * L + l]
                            lane_mass[k, l] += T.Cast(
                                "float64",
                                T.Select(
                                    x >= T.reinterpret("float32", pivots[k]),
                                    x,
                                    T.float32(0),
                                ),
                            )
                for k in T.unroll(_PIVOTS):
                    pivot: T.let[T.float32] = T.reinterpret("float32", pivots[k])
                    for l in range(L):
                        mass[k] += lane_mass[k, l]
                    for v in range(vectors * L, V):
                        if probs[r, v] >= pivot:
                            mass[k] += T.Cast("float64", probs[r, v])
                for k in T.unroll(_PIVOTS):
                    if mass[k] >= T.Cast("float64", top_p[r]):
                        if pivots[k] >= low[0]:
                            low[0] = pivots[k]
                            kept[0] = mass[k]
                    else:
                        high[0] = T.min(high[0], pivots[k])
                for k in T.unroll(_PIVOTS):
                    quarter: T.let[T.int32] = T.max(1, (high[0] - low[0]) >> 2)
                    pivots[k] = low[0] + quarter * (k + 1)
            scale: T.let[T.float32] = T.Select(
                kept[0] > T.float64(0),
                T.Cast("float32", T.float64(1) / kept[0]),
                T.float32(0),
            )
            for v in range(V):
                out[r, v] = T.Select(
                    probs[r, v] >= T.reinterpret("float32", low[0]),
                    probs[r, v] * scale,
                    T.float32(0),
                )

    return renormalize
