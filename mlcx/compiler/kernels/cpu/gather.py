"""Copying rows of a matrix by index: probabilities and hidden states of token trees."""

from __future__ import annotations

from tvm import tirx
from tvm.script import tirx as T

__all__ = ["gather_rows", "scatter_rows"]


def gather_rows(width: int, dtype: str) -> tirx.PrimFunc:
    """Return f(src (m, width), indices (b,) int32, dst (b, width)).

    ``dst[i] = src[indices[i]]``; src and dst do not overlap.
    """

    @T.prim_func(s_tir=True)
    def gather(var_src: T.handle, var_indices: T.handle, var_dst: T.handle) -> None:
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True, "op_pattern": 8})
        m = T.int64()
        b = T.int64()
        src = T.match_buffer(var_src, (m, width), dtype, elem_offset=T.int64())
        indices = T.match_buffer(var_indices, (b,), "int32", elem_offset=T.int64())
        dst = T.match_buffer(var_dst, (b, width), dtype, elem_offset=T.int64())
        for i in T.parallel(b):
            for j in range(width):
                dst[i, j] = src[indices[i], j]

    return gather


def scatter_rows(width: int, dtype: str) -> tirx.PrimFunc:
    """Return f(src (b, width), indices (b,) int32, dst (m, width)).

    ``dst[indices[i]] = src[i]``, rows in order: of equal indices the last one wins.
    The other rows of dst stay. src and dst do not overlap.
    """

    @T.prim_func(s_tir=True)
    def scatter(var_src: T.handle, var_indices: T.handle, var_dst: T.handle) -> None:
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True, "op_pattern": 8})
        b = T.int64()
        m = T.int64()
        src = T.match_buffer(var_src, (b, width), dtype, elem_offset=T.int64())
        indices = T.match_buffer(var_indices, (b,), "int32", elem_offset=T.int64())
        dst = T.match_buffer(var_dst, (m, width), dtype, elem_offset=T.int64())
        for i in range(b):
            for j in range(width):
                dst[indices[i], j] = src[i, j]

    return scatter
