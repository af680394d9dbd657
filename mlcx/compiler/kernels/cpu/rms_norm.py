"""Root-mean-square normalization, alone or of a sum that is wanted too.

``x / sqrt(mean(x**2) + eps) * weight`` along the last axis, in float32 inside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T
from tvm.target import Target

from mlcx.compiler.kernels.cpu.rows import Place, each_row, row_sum
from mlcx.compiler.kernels.cpu.simd import float32_lanes
from mlcx.compiler.kernels.script import array, define, renewed

__all__ = ["add_rms_norm", "rms_norm"]


def rms_norm(
    target: Target, leading: Sequence[Expr | int], hidden: int, dtype: str, eps: float
) -> tirx.PrimFunc:
    """Return f(x (*leading, hidden), weight (hidden,), out like x)."""

    def emit() -> None:
        axes = renewed(leading)
        x = array("x", (*axes, hidden), dtype)
        weight = array("weight", (hidden,), dtype)
        out = array("out", (*axes, hidden), dtype)
        each_row(axes, hidden, lambda row: _normalize(target, row, x, weight, out, eps))

    return define("rms_norm", emit)


def add_rms_norm(
    target: Target, leading: Sequence[Expr | int], hidden: int, dtype: str, eps: float
) -> tirx.PrimFunc:
    """Return f(a, b, weight (hidden,), total, out): ``a + b`` and its normalization.

    All but ``weight`` are (..., hidden). The sum is rounded to ``dtype`` before it is
    normalized, as if it had been computed alone.
    """
    w = math.gcd(hidden, float32_lanes(target))

    def emit() -> None:
        axes = renewed(leading)
        shape = (*axes, hidden)
        a, b = array("a", shape, dtype), array("b", shape, dtype)
        weight = array("weight", (hidden,), dtype)
        total, out = array("total", shape, dtype), array("out", shape, dtype)

        def emit_row(row: Place) -> None:
            with T.serial(hidden // w) as i, T.vectorized(w) as l:
                at = row(i * w + l)
                both = a[tuple(at)].astype("float32") + b[tuple(at)].astype("float32")
                T.buffer_store(total, both.astype(dtype), at)
            _normalize(target, row, total, weight, out, eps)

        each_row(axes, hidden, emit_row)

    return define("add_rms_norm", emit)


def _normalize(
    target: Target,
    row: Place,
    x: tirx.Buffer,
    weight: tirx.Buffer,
    out: tirx.Buffer,
    eps: float,
) -> None:
    hidden = int(weight.shape[0])
    w = math.gcd(hidden, float32_lanes(target))

    def square(at: Expr) -> Expr:
        value = x[tuple(row(at))].astype("float32")
        return value * value

    mean = row_sum(target, hidden, square) / T.float32(hidden)
    scale = T.bind(T.rsqrt(mean + T.float32(eps)))
    with T.serial(hidden // w) as i, T.vectorized(w) as l:
        at = row(i * w + l)
        value = x[tuple(at)].astype("float32") * scale
        value = value * weight[i * w + l].astype("float32")
        T.buffer_store(out, value.astype(out.dtype), at)
