"""One row of activations times the weights: decoding.

Reading the weights is what takes the time, so each is read once, front to back, and
the cache lines of a later row are asked for while this one is computed.
"""

from __future__ import annotations

from tvm.tirx.script import builder as T

from mlcx.compiler.kernels.cpu.dot import dot_for
from mlcx.compiler.kernels.cpu.operands import Operands

__all__ = ["gemv"]

_ROWS_AHEAD = 2


def gemv(operands: Operands) -> None:
    """Write out; x has one row."""
    dot = dot_for(operands)
    with T.parallel(operands.n) as n:
        dot.write([n], [0], rows_ahead=_ROWS_AHEAD)
