"""The gated activation of a feed-forward layer: ``function(gate) * up``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T
from tvm.target import Target

from mlcx.compiler.kernels.cpu.pointwise import FUNCTIONS
from mlcx.compiler.kernels.cpu.rows import Place, each_row
from mlcx.compiler.kernels.cpu.simd import float32_lanes
from mlcx.compiler.kernels.script import array, define, renewed

__all__ = ["gated"]


def gated(
    target: Target,
    function: str,
    leading: Sequence[Expr | int],
    width: int,
    dtype: str,
) -> tirx.PrimFunc:
    """Return f(gate_up (*leading, 2 * width), out (*leading, width)), gates first."""
    w = math.gcd(width, float32_lanes(target))

    def emit() -> None:
        axes = renewed(leading)
        gate_up = array("gate_up", (*axes, 2 * width), dtype)
        out = array("out", (*axes, width), dtype)

        def emit_row(row: Place) -> None:
            with T.serial(width // w) as i, T.vectorized(w) as l:
                at = i * w + l
                gate = gate_up[tuple(row(at))].astype("float32")
                up = gate_up[tuple(row(width + at))].astype("float32")
                value = FUNCTIONS[function](gate) * up
                T.buffer_store(out, value.astype(dtype), row(at))

        each_row(axes, width, emit_row)

    return define(f"gated_{function}", emit)
