"""The gated activation of Llama's feed-forward layer: ``silu(gate) * up``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T
from tvm.target import Target

from mlcx.compiler.kernels.cpu.exp import exp
from mlcx.compiler.kernels.cpu.rows import Place, each_row, renewed
from mlcx.compiler.kernels.cpu.script import array, define
from mlcx.compiler.kernels.cpu.simd import float32_lanes

__all__ = ["swiglu"]


def swiglu(
    target: Target, leading: Sequence[Expr | int], width: int, dtype: str
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
                value = gate / (T.float32(1) + exp(-gate)) * up
                T.buffer_store(out, value.astype(dtype), row(at))

        each_row(axes, width, emit_row)

    return define("swiglu", emit)
