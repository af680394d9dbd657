"""Layer normalization, ``(x - mean) / sqrt(variance + eps) * weight + bias``.

Along the last axis, in float32 inside. The variance is the mean square of the
differences from the mean: of mean(x**2) - mean**2, little is left when the mean is far
from 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T
from tvm.target import Target

from mlcx.compiler.kernels.cpu.rows import Place, each_row, renewed, row_sum
from mlcx.compiler.kernels.cpu.script import array, define
from mlcx.compiler.kernels.cpu.simd import float32_lanes

__all__ = ["layer_norm"]


def layer_norm(
    target: Target, leading: Sequence[Expr | int], hidden: int, dtype: str, eps: float
) -> tirx.PrimFunc:
    """Return f(x (*leading, hidden), weight (hidden,), bias (hidden,), out like x)."""
    w = math.gcd(hidden, float32_lanes(target))

    def emit() -> None:
        axes = renewed(leading)
        x = array("x", (*axes, hidden), dtype)
        weight, bias = (array(name, (hidden,), dtype) for name in ("weight", "bias"))
        out = array("out", (*axes, hidden), dtype)

        def emit_row(row: Place) -> None:
            def value(at: Expr) -> Expr:
                return x[tuple(row(at))].astype("float32")

            def square(at: Expr) -> Expr:
                difference = T.bind(value(at) - mean)
                return difference * difference

            mean = T.bind(row_sum(target, hidden, value) / T.float32(hidden))
            variance = row_sum(target, hidden, square) / T.float32(hidden)
            scale = T.bind(T.rsqrt(variance + T.float32(eps)))
            with T.serial(hidden // w) as i, T.vectorized(w) as l:
                at = i * w + l
                normal = (value(at) - mean) * scale
                normal = normal * weight[at].astype("float32")
                normal = normal + bias[at].astype("float32")
                T.buffer_store(out, normal.astype(dtype), row(at))

        each_row(axes, hidden, emit_row)

    return define("layer_norm", emit)
