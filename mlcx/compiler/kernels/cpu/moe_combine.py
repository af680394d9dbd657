"""The weighted sum of what a token's experts made of it."""

from __future__ import annotations

import math

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T
from tvm.target import Target

from mlcx.compiler.kernels.cpu.rows import Place, each_row
from mlcx.compiler.kernels.cpu.simd import float32_lanes
from mlcx.compiler.kernels.script import array, define

__all__ = ["combination"]


def combination(target: Target, chosen: int, width: int, dtype: str) -> tirx.PrimFunc:
    """Return f(weights (t, k), parts (t * k, width), out (t, width)).

    Weights and parts are float32.
    """
    w = math.gcd(width, float32_lanes(target))

    def emit() -> None:
        t = T.int64()
        weights = array("weights", (t, chosen), "float32")
        parts = array("parts", (t * chosen, width), "float32")
        out = array("out", (t, width), dtype)

        def token(row: Place) -> None:
            (m,) = row(T.int64(0))[:-1]
            with T.serial(width // w) as i, T.vectorized(w) as l:
                at = i * w + l
                shares: list[Expr] = [
                    weights[m, s] * parts[m * chosen + s, at] for s in range(chosen)
                ]
                T.buffer_store(out, sum(shares[1:], shares[0]).astype(dtype), [m, at])

        each_row((t,), width, token)

    return define("moe_combine", emit)
