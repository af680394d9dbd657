"""Layer and group normalization, ``(x - mean) / sqrt(variance + eps) * weight + bias``.

Along the last axis, or equal parts of it, in float32 inside. The variance is the mean
square of the differences from the mean: of mean(x**2) - mean**2, little is left when
the mean is far from 0.
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

__all__ = ["group_norm", "layer_norm"]


def layer_norm(
    target: Target,
    leading: Sequence[Expr | int],
    hidden: int,
    dtype: str,
    eps: float,
    *,
    biased: bool = True,
) -> tirx.PrimFunc:
    """Return f(x (*leading, hidden), weight (hidden,), [bias (hidden,),] out)."""

    def emit() -> None:
        axes = renewed(leading)
        x = array("x", (*axes, hidden), dtype)
        weight = array("weight", (hidden,), dtype)
        bias = array("bias", (hidden,), dtype) if biased else None
        out = array("out", (*axes, hidden), dtype)
        each_row(
            axes, hidden, lambda row: _normalize(target, row, x, weight, bias, out, eps)
        )

    return define("layer_norm", emit)


def group_norm(
    target: Target,
    leading: Sequence[Expr | int],
    groups: int,
    width: int,
    dtype: str,
    eps: float,
    *,
    biased: bool = True,
) -> tirx.PrimFunc:
    """Return f(x (*leading, groups, width), weight (groups, width), [bias,] out).

    Each group of a row is normalized for itself, then scaled and moved as its own.
    """

    def emit() -> None:
        axes = [*renewed(leading), groups]
        x = array("x", (*axes, width), dtype)
        shape = (groups, width)
        weight = array("weight", shape, dtype)
        bias = array("bias", shape, dtype) if biased else None
        out = array("out", (*axes, width), dtype)
        each_row(
            axes, width, lambda row: _normalize(target, row, x, weight, bias, out, eps)
        )

    return define("group_norm", emit)


def _normalize(
    target: Target,
    row: Place,
    x: tirx.Buffer,
    weight: tirx.Buffer,
    bias: tirx.Buffer | None,
    out: tirx.Buffer,
    eps: float,
) -> None:
    """Emit one row; ``weight`` and ``bias`` have some of the last axes of ``x``."""
    width = int(x.shape[-1])
    w = math.gcd(width, float32_lanes(target))
    own = len(weight.shape)

    def value(at: Expr) -> Expr:
        return x[tuple(row(at))].astype("float32")

    def square(at: Expr) -> Expr:
        difference = T.bind(value(at) - mean)
        return difference * difference

    mean = T.bind(row_sum(target, width, value) / T.float32(width))
    variance = row_sum(target, width, square) / T.float32(width)
    scale = T.bind(T.rsqrt(variance + T.float32(eps)))
    with T.serial(width // w) as i, T.vectorized(w) as l:
        place = row(i * w + l)
        learnt = tuple(place[-own:])
        normal = (value(place[-1]) - mean) * scale
        normal = normal * weight[learnt].astype("float32")
        if bias is not None:
            normal = normal + bias[learnt].astype("float32")
        T.buffer_store(out, normal.astype(out.dtype), place)
