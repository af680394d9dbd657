"""The kernels that move keys and values into, between and out of the cache's pages.

Pages are (pages, 2, kv heads, page size, d), keys before values; the position of a
token in them is ``page * page_size + row``.
"""

from __future__ import annotations

import math
from typing import Any

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.script import (
    array,
    define,
    scalar,
    view,
)

__all__ = ["compact_copy", "copy_single_page", "debug_get_kv", "transpose_append"]


def transpose_append(num_kv_heads: int, head_dim: int, dtype: str) -> tirx.PrimFunc:
    """Return f(pages, k (t, kv, d), v (t, kv, d), positions (t,) int32).

    A token at position -1 is not stored.
    """

    def emit() -> None:
        t = T.int64()
        pages = _pages(num_kv_heads, head_dim, dtype)
        k = array("k", (t, num_kv_heads, head_dim), dtype)
        v = array("v", (t, num_kv_heads, head_dim), dtype)
        positions = view("positions", (t,), "int32")

        with T.serial(t) as s, T.If(positions[s] >= 0), T.Then():
            page, row = _place(pages, positions[s])
            with T.serial(num_kv_heads) as h:
                for which, source in enumerate((k, v)):
                    _copy((source, s, h), (pages, page, which, h, row))

    return define("kv_transpose_append", emit)


def copy_single_page(num_kv_heads: int, head_dim: int, dtype: str) -> tirx.PrimFunc:
    """Return f(pages, source, target, length): copy the first ``length`` rows."""

    def emit() -> None:
        pages = _pages(num_kv_heads, head_dim, dtype)
        source, target = scalar("source", "int64"), scalar("target", "int64")
        length = scalar("length", "int64")
        with T.serial(2) as which, T.serial(num_kv_heads) as h, T.serial(length) as row:
            place = which, h, row
            _copy((pages, source, *place), (pages, target, *place))

    return define("kv_copy_single_page", emit)


def compact_copy(num_kv_heads: int, head_dim: int, dtype: str) -> tirx.PrimFunc:
    """Return f(pages, indptr (b+1,) int32, positions (2, n) int32, b int32).

    Token ``positions[0, j]`` moves to ``positions[1, j]``, in the order of j: a token
    that moves later may be overwritten only once it moved.
    """

    def emit() -> None:
        pages = _pages(num_kv_heads, head_dim, dtype)
        indptr = view("indptr", (T.int64(),), "int32")
        positions = view("positions", (2, T.int64()), "int32")
        batch = scalar("batch", "int32")
        with T.serial(indptr[0], indptr[batch]) as j:
            source, row = _place(pages, positions[0, j])
            target, target_row = _place(pages, positions[1, j])
            with T.serial(2) as which, T.serial(num_kv_heads) as h:
                _copy(
                    (pages, source, which, h, row),
                    (pages, target, which, h, target_row),
                )

    return define("kv_compact_copy", emit)


def debug_get_kv(
    num_layers: int, num_kv_heads: int, head_dim: int, dtype: str
) -> tirx.PrimFunc:
    """Return f(pages, positions (n,) int32, k, v (layers, n, kv, d), layer int64)."""

    def emit() -> None:
        n = T.int64()
        pages = _pages(num_kv_heads, head_dim, dtype)
        positions = view("positions", (n,), "int32")
        shape = (num_layers, n, num_kv_heads, head_dim)
        k, v = array("k", shape, dtype), array("v", shape, dtype)
        layer = scalar("layer", "int64")
        with T.serial(n) as s:
            page, row = _place(pages, positions[s])
            with T.serial(num_kv_heads) as h:
                for which, sink in enumerate((k, v)):
                    _copy((pages, page, which, h, row), (sink, layer, s, h))

    return define("kv_debug_get", emit)


def _pages(num_kv_heads: int, head_dim: int, dtype: str) -> tirx.Buffer:
    """Declare the argument ``pages``, of any number and size of pages."""
    shape = (T.int64(), 2, num_kv_heads, T.int64(), head_dim)
    return view("pages", shape, dtype)


def _place(pages: tirx.Buffer, position: Expr) -> tuple[Expr, Expr]:
    """Emit the page and the row of a position."""
    at = T.bind(position.astype("int64"))
    page_size = pages.shape[3]
    return T.bind(at // page_size), T.bind(at % page_size)


def _copy(source: tuple[Any, ...], sink: tuple[Any, ...]) -> None:
    """Emit the copy of a head's vector; each end is a buffer and all but one index."""
    d = int(source[0].shape[-1])
    # Explicit vectors: LLVM would check at run time whether the ends overlap.
    w = math.gcd(d, 64)
    with T.serial(d // w) as i, T.vectorized(w) as l:
        x = source[0][(*source[1:], i * w + l)]
        T.buffer_store(sink[0], x, [*sink[1:], i * w + l])
