"""8-bit floats in vectors, widened by way of float16, which CPUs convert themselves.

Moved to where float16 has its sign, exponent and mantissa, the bits of an 8-bit float
mean the same number but for the difference in the exponents' biases: a power of two,
subnormal numbers included. There must be no NaN.
"""

from __future__ import annotations

from tvm.ir import Expr
from tvm.tirx import bitwise_and, const, reinterpret, shift_left

from mlcx.compiler.kernels.cpu.vectors import cast, splat, vector_type

__all__ = ["UNITS", "widen_float8"]

_SHIFTS = {"float8_e4m3fn": 7, "float8_e5m2": 8}

UNITS = {"float8_e4m3fn": 2.0 ** (15 - 7), "float8_e5m2": 1.0}
"""What 1 in the result of ``widen_float8`` stands for, by dtype."""

_BUT_FIRST_OF_EXPONENT = ~(1 << 14)


def widen_float8(values: Expr, dtype: str, lanes: int) -> Expr:
    """Return int8 lanes that are the bits of ``dtype`` as float32, in ``UNITS``."""
    # The sign fills all bits above the number; of those, one is not the sign's.
    wide = cast(values, "int16", lanes)
    half = shift_left(wide, splat(const(_SHIFTS[dtype], "int16"), lanes))
    if UNITS[dtype] != 1:
        mask = const(_BUT_FIRST_OF_EXPONENT, "int16")
        half = bitwise_and(half, splat(mask, lanes))
    return cast(reinterpret(vector_type("float16", lanes), half), "float32", lanes)
