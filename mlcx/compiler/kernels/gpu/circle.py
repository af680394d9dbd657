"""Sines and cosines that are as exact on every GPU as float32 is.

WGSL allows its own an error of 2**-11 from -pi to pi, and any beyond; Metal's fast ones
are no better. Positions turn by thousands of radians.
"""

from __future__ import annotations

import math

from tvm.ir import Expr
from tvm.script import tirx as T

__all__ = ["circle"]

_QUARTER = (1.5, 0.0703125, 4.837512969970703125e-4, 7.54978995489188216e-8)
"""Adds up to pi / 2. Multiples of the first two are exact up to 2**20 of them, so that
little is lost of an angle when they are taken away (Cody and Waite, 1980)."""

_SINE = (-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4)
"""Of (sin(r) - r) / r**3 in powers of r**2, up to pi / 4: Moshier's, in Cephes."""
_COSINE = (4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5)
"""Of (cos(r) - 1 + r**2 / 2) / r**4, likewise."""


def circle(angle: Expr) -> tuple[Expr, Expr]:
    """Emit the cosine and the sine of ``angle``, float32, from 0 to a million.

    The error is below 2e-7 up to 10**4, and below the angle's own rounding beyond.
    """
    turns = _kept(T.floor(angle * T.float32(2 / math.pi) + T.float32(0.5)))
    rest = angle
    for part in _QUARTER:
        rest = rest - turns * T.float32(part)
    rest = _kept(rest)
    square = _kept(rest * rest)
    sine = _kept(rest + rest * square * _polynomial(_SINE, square))
    cosine = _polynomial(_COSINE, square) * square * square
    cosine = _kept(cosine - square * T.float32(0.5) + T.float32(1))
    turn = _kept(turns.astype("int32"))
    odd = (turn & 1) != 0
    return (
        _kept(_negated(T.Select(odd, sine, cosine), ((turn + 1) & 2) != 0)),
        _kept(_negated(T.Select(odd, cosine, sine), (turn & 2) != 0)),
    )


def _kept(value: Expr) -> Expr:
    """Emit ``value`` where passes do not look into it, which takes them ever longer."""
    place = T.alloc_buffer((1,), str(value.ty.dtype), scope="local")
    T.buffer_store(place, value, [0])
    return place[0]


def _polynomial(coefficients: tuple[float, ...], x: Expr) -> Expr:
    *others, value = map(T.float32, coefficients)
    for coefficient in reversed(others):
        value = value * x + coefficient
    return value


def _negated(value: Expr, condition: Expr) -> Expr:
    return T.Select(condition, -value, value)
