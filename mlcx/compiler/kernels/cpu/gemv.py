"""One row of activations times the weights: decoding.

Reading the weights is what takes the time: it is done once, in a few streams.
"""

from __future__ import annotations

from tvm.tirx.script import builder as T

from mlcx.compiler.kernels.cpu.dot import Dot, stream_rows

__all__ = ["gemv"]

_STREAMS = 4


def gemv(dot: Dot) -> None:
    """Write out[0], row 0 of x times every row of the weight."""
    length, rows_at = stream_rows(dot.operands.n, _STREAMS)
    with T.parallel(length) as i:
        dot.write(rows_at(i), [0])
