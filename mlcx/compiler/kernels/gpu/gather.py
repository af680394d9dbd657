"""Copying rows of a matrix by index on the GPU, a thread for each element."""

from __future__ import annotations

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.gpu.launch import each
from mlcx.compiler.kernels.script import define, view

__all__ = ["gather_rows", "scatter_rows"]


def gather_rows(width: int, dtype: str) -> tirx.PrimFunc:
    """Return f(src (m, width), indices (b,) int32, dst (b, width)).

    ``dst[i] = src[indices[i]]``; src and dst do not overlap.
    """

    def emit() -> None:
        m, b = T.int64(), T.int64()
        src = view("src", (m, width), dtype)
        indices = view("indices", (b,), "int32")
        dst = view("dst", (b, width), dtype)

        def element(i: Expr) -> None:
            row, at = T.bind(i // width), T.bind(i % width)
            T.buffer_store(dst, src[indices[row], at], [row, at])

        each(b * width, element)

    return define("gather", emit)


def scatter_rows(width: int, dtype: str) -> tirx.PrimFunc:
    """Return f(src (b, width), indices (b,) int32, dst (m, width)).

    ``dst[indices[i]] = src[i]``; indices differ. The other rows of dst stay. src and
    dst do not overlap.
    """

    def emit() -> None:
        b, m = T.int64(), T.int64()
        src = view("src", (b, width), dtype)
        indices = view("indices", (b,), "int32")
        dst = view("dst", (m, width), dtype)

        def element(i: Expr) -> None:
            row, at = T.bind(i // width), T.bind(i % width)
            T.buffer_store(dst, src[row, at], [indices[row], at])

        each(b * width, element)

    return define("scatter", emit)
