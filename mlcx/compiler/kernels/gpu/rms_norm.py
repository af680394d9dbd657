"""RMSNorm on the GPU, alone or of a sum that is wanted too: a block for each row.

``x / sqrt(mean(x**2) + eps) * weight`` along the last axis, in float32 inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.gpu.launch import Block, block
from mlcx.compiler.kernels.script import array, define, places, renewed

__all__ = ["add_rms_norm", "rms_norm"]


def rms_norm(
    leading: Sequence[Expr | int], hidden: int, dtype: str, eps: float
) -> tirx.PrimFunc:
    """Return f(x (*leading, hidden), weight (hidden,), out like x)."""

    def emit() -> None:
        axes = renewed(leading)
        x = array("x", (*axes, hidden), dtype)
        weight = array("weight", (hidden,), dtype)
        out = array("out", (*axes, hidden), dtype)
        with block(prod(axes, start=T.int64(1))) as here:
            _normalize(here, places(here.at[0], axes), x, weight, out, eps)

    return define("rms_norm", emit)


def add_rms_norm(
    leading: Sequence[Expr | int], hidden: int, dtype: str, eps: float
) -> tirx.PrimFunc:
    """Return f(a, b, weight (hidden,), total, out): ``a + b`` and its normalization.

    All but ``weight`` are (..., hidden). The sum is rounded to ``dtype`` before it is
    normalized, as if it had been computed alone.
    """

    def emit() -> None:
        axes = renewed(leading)
        shape = (*axes, hidden)
        a, b = array("a", shape, dtype), array("b", shape, dtype)
        weight = array("weight", (hidden,), dtype)
        total, out = array("total", shape, dtype), array("out", shape, dtype)
        with block(prod(axes, start=T.int64(1))) as here:
            row = places(here.at[0], axes)

            def add(i: Expr) -> None:
                at = (*row, i)
                both = a[at].astype("float32") + b[at].astype("float32")
                T.buffer_store(total, both.astype(dtype), at)

            # A thread reads afterwards what it wrote itself, so none has to wait.
            here.strided(hidden, add)
            _normalize(here, row, total, weight, out, eps)

    return define("add_rms_norm", emit)


def _normalize(
    here: Block,
    row: list[Expr],
    x: tirx.Buffer,
    weight: tirx.Buffer,
    out: tirx.Buffer,
    eps: float,
) -> None:
    hidden = int(weight.shape[0])
    squares = here.local("float32", T.float32(0))

    def square(i: Expr) -> None:
        value = T.bind(x[(*row, i)].astype("float32"))
        T.buffer_store(squares, squares[0] + value * value, [0])

    here.strided(hidden, square)
    mean = here.reduced(squares[0], "float32", lambda a, b: a + b) / T.float32(hidden)
    scale = T.bind(T.rsqrt(mean + T.float32(eps)))

    def write(i: Expr) -> None:
        value = x[(*row, i)].astype("float32") * scale * weight[i].astype("float32")
        T.buffer_store(out, value.astype(out.dtype), (*row, i))

    here.strided(hidden, write)
