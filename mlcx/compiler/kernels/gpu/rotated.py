"""Turning one element of a head with its position, on the GPU."""

from __future__ import annotations

from collections.abc import Callable

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.gpu.circle import circle
from mlcx.compiler.kernels.rotation import Rotation

__all__ = ["rotated"]


def rotated(
    read: Callable[[Expr], Expr],
    at: Expr,
    position: Expr,
    rotation: Rotation,
    frequency: Callable[[Expr], Expr],
) -> Expr:
    """Emit element ``at`` of a head, rotated where it is in a pair.

    Args:
        read: Element of the head to its value, float32.
        at: Of the element, an integer.
        position: Of the token.
        rotation: Which elements are pairs, and how they are scaled.
        frequency: Pair to its radians a position, float32.
    """
    half = rotation.half
    if rotation.interleaved:
        pair, second = at // 2, at % 2
        partner = T.Select(second == 0, at + 1, at - 1)
    else:
        pair, second = at % half, at // half
        partner = T.Select(second == 0, at + half, at - half)
    inside = at < 2 * half
    # Beyond the pairs the indices are brought back inside; nothing is made of them.
    rate = frequency(T.Select(inside, pair, tirx.const(0, str(at.ty.dtype))))
    cosine, sine = circle(T.bind(position.astype("float32") * rate))
    other = T.bind(read(T.Select(inside, partner, at)))
    mine = T.bind(read(at))
    turned = mine * cosine + T.Select(second == 0, -other, other) * sine
    return T.Select(inside, turned * T.float32(rotation.amplitude), mine)
