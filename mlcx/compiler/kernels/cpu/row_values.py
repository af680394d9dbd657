"""Weights stored by rows, one number for each, as vectors of float32 along K."""

from __future__ import annotations

from tvm.ir import Expr
from tvm.tirx import BufferLoad
from tvm.tirx.script import builder as T

from mlcx.compiler.kernels.cpu.float8 import UNITS, widen_float8
from mlcx.compiler.kernels.cpu.operands import Operands
from mlcx.compiler.kernels.cpu.vectors import bind, cast, load, number, splat
from mlcx.compiler.kernels.cpu.weights import Float8

__all__ = ["row_values"]


def row_values(operands: Operands, n: Expr | int, k: Expr | int, lanes: int) -> Expr:
    """Return ``W[n, k : k + lanes]`` as float32.

    ``k`` is a multiple of ``lanes``, which are at most those of the operands.
    """
    fmt, weight = operands.format, operands.weights[0]
    if not isinstance(fmt, Float8):
        return cast(load(weight, n, k, lanes=lanes), "float32", lanes)
    start = weight.elem_offset
    bits = T.decl_buffer(weight.shape, "int8", data=weight.data, elem_offset=start)
    value = widen_float8(load(bits, n, k, lanes=lanes), fmt.dtype, lanes)
    unit = UNITS[fmt.dtype]
    if fmt.scaled:
        scale = operands.weights[1]
        index = [n // fmt.rows, k // fmt.columns] if fmt.rows else [0]
        factor = bind(BufferLoad(scale, index) * number(unit, 1))
        return value * splat(factor, lanes)
    return value if unit == 1 else value * number(unit, lanes)
