"""Products with small matrices stored (K, N), such as those of low-rank updates.

Sums are float32. The large weights of linear layers are stored (N, K), for which
``matmul`` is made.
"""

from __future__ import annotations

import math

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T
from tvm.target import Target

from mlcx.compiler.kernels.cpu.simd import float32_lanes
from mlcx.compiler.kernels.script import array, define, parallel_from

__all__ = ["matrix_product"]

_ROWS = 4
"""Rows that share each load of a weight."""

_VECTORS = 4
"""Vectors of a row at a time: with the rows, half of the registers of AVX-512."""

_PARALLEL = 4
"""From as many blocks on, they are shared among all threads."""


def matrix_product(
    target: Target, parts: int, k: int, n: int, dtype: str
) -> tirx.PrimFunc:
    """Return f(x (parts, s, k), weight (parts, k, n), out (parts, s, n)).

    Each part is a product of its own.
    """
    w = math.gcd(n, float32_lanes(target))
    vectors = math.gcd(n // w, _VECTORS)
    columns = n // (w * vectors)

    def emit() -> None:
        s = T.int64()
        x = array("x", (parts, s, k), dtype)
        weight = array("weight", (parts, k, n), dtype)
        out = array("out", (parts, s, n), dtype)

        def block(index: Expr) -> None:
            """Write ``_ROWS`` rows of a stripe; those past the end repeat the last."""
            stripe = T.bind(index % columns * (w * vectors))
            part = T.bind(index // columns % parts)
            first = T.bind(index // (columns * parts) * _ROWS)
            rows = [T.bind(T.min(first + r, s - 1)) for r in range(_ROWS)]
            sums = T.alloc_buffer((_ROWS, vectors, w), "float32")
            with T.unroll(_ROWS) as r, T.unroll(vectors) as v, T.vectorized(w) as l:
                T.buffer_store(sums, T.float32(0), [r, v, l])
            with T.serial(k) as i, T.unroll(vectors) as v:
                for r, row in enumerate(rows):
                    with T.vectorized(w) as l:
                        own = weight[part, i, stripe + v * w + l].astype("float32")
                        share = x[part, row, i].astype("float32") * own
                        T.buffer_store(sums, sums[r, v, l] + share, [r, v, l])
            for r, row in enumerate(rows):
                with T.unroll(vectors) as v, T.vectorized(w) as l:
                    place = [part, row, stripe + v * w + l]
                    T.buffer_store(out, sums[r, v, l].astype(dtype), place)

        blocks = (s + _ROWS - 1) // _ROWS * (columns * parts)
        parallel_from(_PARALLEL, blocks, block)

    return define("matrix_product", emit)
