"""A few rows of activations times the weights: batched decoding.

The weights come from memory once. Each load of an activation serves several rows of
weights, and each code taken out of its word serves several rows of activations.
"""

from __future__ import annotations

from tvm.tirx.script import builder as T

from mlcx.compiler.kernels.cpu.dot import Dot, stream_rows

__all__ = ["small_batch"]

_PRODUCTS = 8
"""Pairs of rows worked on at a time: each takes two of 32 registers."""


def small_batch(dot: Dot, block: int) -> None:
    """Write all rows of out, ``block`` rows of x at a time.

    Blocks at the edge repeat the last row, so that every block is whole.
    """
    rows = dot.operands.rows
    length, rows_at = stream_rows(dot.operands.n, _PRODUCTS // block)
    with T.parallel(length) as i, T.serial((rows + block - 1) // block) as b:
        ms = [T.min(b * block + r, rows - 1) for r in range(block)]
        dot.write(rows_at(i), ms)
