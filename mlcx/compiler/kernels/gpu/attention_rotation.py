"""Rotating queries and keys when attention reads them, on the GPU.

Kernels for GPUs hold no tables, so that the frequencies must follow a law: those of
plain rotary embedding, ``base ** -i`` of pair i, and the same divided by a factor.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.rotation import Rotation

__all__ = ["follows_law", "rotated"]

_CLOSE = 1e-6
"""Relative difference of a frequency: less than float32 rounds an angle by."""


def follows_law(rotation: Rotation) -> bool:
    """Say whether `rotated` can turn by the frequencies of ``rotation``."""
    first, step = _law(rotation)
    return all(
        math.isclose(first * 2 ** (step * i), frequency, rel_tol=_CLOSE)
        for i, frequency in enumerate(rotation.frequencies)
    )


def rotated(
    read: Callable[[Expr], Expr], at: Expr, position: Expr, rotation: Rotation
) -> Expr:
    """Return element ``at`` of a head, rotated where it is in a pair.

    Args:
        read: Element of the head to its value, float32.
        at: Of the element, int64.
        position: Of the token.
        rotation: Follows the law.
    """
    half = rotation.half
    if rotation.interleaved:
        pair, second = at // 2, at % 2
        partner = T.Select(second == 0, at + 1, at - 1)
    else:
        pair, second = at % half, at // half
        partner = T.Select(second == 0, at + half, at - half)
    inside = at < 2 * half
    first, step = _law(rotation)
    exponent = pair.astype("float32") * T.float32(step)
    angle = position.astype("float32") * (T.exp2(exponent) * T.float32(first))
    angle = T.bind(angle)
    # Beyond the pairs the index is brought back inside; nothing is made of it.
    other = T.bind(read(T.Select(inside, partner, at)))
    mine = T.bind(read(at))
    turned = mine * T.cos(angle) + T.Select(second == 0, -other, other) * T.sin(angle)
    scaled = turned * T.float32(rotation.amplitude)
    return T.Select(inside, scaled, mine)


def _law(rotation: Rotation) -> tuple[float, float]:
    """Return the first frequency, and log2 of each one over the one before it."""
    rates = rotation.frequencies
    step = math.log2(rates[-1] / rates[0]) / (len(rates) - 1) if len(rates) > 1 else 0
    return rates[0], step
