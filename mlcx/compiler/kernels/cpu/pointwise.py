"""The activation functions of feed-forward layers, of one element, and their kernel."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tvm import ir, tirx
from tvm.ir import Expr
from tvm.script import tirx as T
from tvm.target import Target

from mlcx.compiler.kernels.cpu.exp import exp
from mlcx.compiler.kernels.cpu.rows import Place, each_row
from mlcx.compiler.kernels.cpu.simd import float32_lanes
from mlcx.compiler.kernels.script import array, define, renewed

__all__ = ["FUNCTIONS", "pointwise"]

_ERFC = (
    -1.26551223,
    1.00002368,
    0.37409196,
    0.09678418,
    -0.18628806,
    0.27886807,
    -1.13520398,
    1.48851587,
    -0.82215223,
    0.17087277,
)
"""Press et al., Numerical Recipes in C, 2nd edition, section 6.2 (``erfcc``)."""


def _silu(x: Expr) -> Expr:
    return x / (T.float32(1) + exp(-x))


def _gelu_tanh(x: Expr) -> Expr:
    """Hendrycks and Gimpel, arXiv:1606.08415, its tanh as a logistic function."""
    inner = x + T.float32(0.044715) * x * x * x
    return x / (T.float32(1) + exp(T.float32(-2 * math.sqrt(2 / math.pi)) * inner))


def _gelu(x: Expr) -> Expr:
    """``x * (1 + erf(x / sqrt(2))) / 2``; the tail is within 2e-7 of its value."""
    t, z = tirx.Var("t", "float32"), tirx.Var("z", "float32")
    power: ir.Expr = T.float32(_ERFC[-1])
    for coefficient in reversed(_ERFC[:-1]):
        power = power * t + T.float32(coefficient)
    tail = t * exp(power - z * z) * T.float32(0.5)
    share = T.Select(x < T.float32(0), tail, T.float32(1) - tail)
    share = tirx.Let(t, T.float32(1) / (T.float32(1) + T.float32(0.5) * z), share)
    return x * tirx.Let(z, T.abs(x) * T.float32(math.sqrt(0.5)), share)


FUNCTIONS: dict[str, Callable[[Expr], Expr]] = {
    "silu": _silu,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
}
"""By the names of Relax's operators: a float32 (vector) expression to its value."""


def pointwise(
    target: Target,
    function: str,
    leading: Sequence[Expr | int],
    width: int,
    dtype: str,
) -> tirx.PrimFunc:
    """Return f(x (*leading, width), out like x): one of `FUNCTIONS` of each element."""
    w = math.gcd(width, float32_lanes(target))

    def emit() -> None:
        axes = renewed(leading)
        x = array("x", (*axes, width), dtype)
        out = array("out", (*axes, width), dtype)

        def emit_row(row: Place) -> None:
            with T.serial(width // w) as i, T.vectorized(w) as l:
                at = row(i * w + l)
                value = FUNCTIONS[function](x[tuple(at)].astype("float32"))
                T.buffer_store(out, value.astype(dtype), at)

        each_row(axes, width, emit_row)

    return define(function, emit)
