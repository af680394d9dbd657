"""A few rows of activations times the weights: batched decoding.

The weights come from memory once. Each load of an activation serves two rows of
weights, and each code taken out of its word serves several rows of activations.
"""

from __future__ import annotations

from tvm.tirx.script import builder as T

from mlcx.compiler.kernels.cpu.dot import Dot

__all__ = ["small_batch"]

_WEIGHT_ROWS = 2
_ROWS_AHEAD = 2


def small_batch(dot: Dot, block: int) -> None:
    """Write all rows of out, ``block`` rows of x at a time.

    Blocks at the edge repeat the last row, so that every block is whole.
    """
    rows, n = dot.operands.rows, dot.operands.n
    weight_rows = min(_WEIGHT_ROWS, n)
    with T.parallel(-(-n // weight_rows)) as pair:
        first = T.min(pair * weight_rows, n - weight_rows)
        with T.serial((rows + block - 1) // block) as i:
            ns = [first + r for r in range(weight_rows)]
            ms = [T.min(i * block + b, rows - 1) for b in range(block)]
            dot.write(ns, ms, rows_ahead=_ROWS_AHEAD)
