"""Exponentials that stay vectors: LLVM turns its own into one library call a lane.

``2**x`` is ``2**n * 2**f`` with the nearest integer ``n``, made out of exponent bits,
and a polynomial in ``f``, |f| <= 1/2, of the least greatest relative error (Remez).
"""

from __future__ import annotations

import math

from tvm import ir, tirx

__all__ = ["exp", "exp2"]

_COEFFICIENTS = (
    1.0,
    0.693147205737269,
    0.24022646890634133,
    0.05550328776963873,
    0.009618488957112323,
    0.0013399931219566098,
    0.00015345812004087918,
)
_LOG2_E = math.log2(math.e)


def exp2(x: ir.Expr) -> ir.Expr:
    """Return 2**x of a float32 (vector) expression, within 3e-7 of its value.

    Exactly 0 from -126.5 down, 1 at 0, infinite from 127.5 up; NaN stays NaN.
    """
    # The order of operands matters: a comparison with NaN picks the second one.
    bounded = tirx.min(_f32(128.0), tirx.max(_f32(-127.0), x))
    value = tirx.Var("x", "float32")
    whole = tirx.Var("n", "float32")
    part = tirx.Var("f", "float32")
    power: ir.Expr = _f32(_COEFFICIENTS[-1])
    for coefficient in reversed(_COEFFICIENTS[:-1]):
        power = power * part + _f32(coefficient)
    bits = (whole.astype("int32") + 127) << 23
    result = power * tirx.reinterpret("float32", bits)
    result = tirx.Let(part, value - whole, result)
    result = tirx.Let(whole, tirx.nearbyint(value), result)
    return tirx.Let(value, bounded, result)


def exp(x: ir.Expr) -> ir.Expr:
    """Return e**x as `exp2` does; its error grows with |x|, to 4e-6 at 87."""
    return exp2(x * _f32(_LOG2_E))


def _f32(value: float) -> ir.Expr:
    return tirx.const(value, "float32")
