"""One row of activations times the weights: decoding.

Reading the weights is what takes the time, so each is read once, front to back, and
the cache lines of a later row are asked for while this one is computed.
"""

from __future__ import annotations

from tvm.tirx.script import builder as T

from mlcx.compiler.kernels.cpu.dot import Dot

__all__ = ["gemv"]

_ROWS_AHEAD = 2


def gemv(dot: Dot) -> None:
    """Write out[0], row 0 of x times every row of the weight."""
    with T.parallel(dot.operands.n) as n:
        dot.write([n], [0], rows_ahead=_ROWS_AHEAD)
