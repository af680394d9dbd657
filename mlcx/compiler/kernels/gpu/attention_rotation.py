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

__all__ = ["follows_law", "lawful"]

_CLOSE = 1e-6
"""Relative difference of a frequency: less than float32 rounds an angle by."""


def follows_law(rotation: Rotation) -> bool:
    """Say whether `lawful` gives the frequencies of ``rotation``."""
    first, step = _law(rotation)
    return all(
        math.isclose(first * 2 ** (step * i), frequency, rel_tol=_CLOSE)
        for i, frequency in enumerate(rotation.frequencies)
    )


def lawful(rotation: Rotation) -> Callable[[Expr], Expr]:
    """Return a function from a pair to its frequency, computed by the law."""
    first, step = _law(rotation)

    def frequency(pair: Expr) -> Expr:
        exponent = pair.astype("float32") * T.float32(step)
        return T.exp2(exponent) * T.float32(first)

    return frequency


def _law(rotation: Rotation) -> tuple[float, float]:
    """Return the first frequency, and log2 of each one over the one before it."""
    rates = rotation.frequencies
    step = math.log2(rates[-1] / rates[0]) / (len(rates) - 1) if len(rates) > 1 else 0
    return rates[0], step
