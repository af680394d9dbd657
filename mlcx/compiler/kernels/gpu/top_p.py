"""Cutting rows of probabilities down to their nucleus on the GPU, without sorting."""

from __future__ import annotations

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.gpu.launch import Block, block
from mlcx.compiler.kernels.script import array, define, view

__all__ = ["renormalize_by_top_p"]

_PIVOTS = 3
_BITS = 31
"""Of a float32 that is not negative; the bits order as the numbers do."""


def renormalize_by_top_p(vocab_size: int) -> tirx.PrimFunc:
    """Return f(probs (B, V) f32, top_p (B,) f32, init_pivots (B, 3) f32, out (B, V)).

    Each row keeps the values of at least t, where t is the greatest value such that
    they sum to ``top_p`` or more, divided by that sum; the others become 0. So equal
    values stay or go together. Everything stays if the row sums to less than
    ``top_p`` or ``top_p`` is 1; the maximum stays always. The bits of t are found one
    by one, without a look at ``init_pivots``. Sums are float32.
    """

    def emit() -> None:
        b = T.int64()
        probs = view("probs", (b, vocab_size), "float32")
        top_p = view("top_p", (b,), "float32")
        view("init_pivots", (b, _PIVOTS), "float32")
        out = array("out", (b, vocab_size), "float32")
        with block(b) as here:
            (row,) = here.at
            limit = T.bind(top_p[row])
            least = here.local("int32", T.int32(0))
            with T.serial(_BITS) as step:
                bit = T.shift_left(T.int32(1), _BITS - 1 - step)
                trial = T.bind(least[0] | bit)
                mass = _mass(here, probs, row, vocab_size, trial)
                with T.If(tirx.all(mass >= limit, mass > T.float32(0))), T.Then():
                    T.buffer_store(least, trial, [0])
            kept = T.bind(T.Select(limit >= T.float32(1), T.int32(0), least[0]))
            mass = _mass(here, probs, row, vocab_size, kept)
            scale = T.Select(mass > T.float32(0), T.float32(1) / mass, T.float32(0))

            def write(v: Expr) -> None:
                x = T.bind(probs[row, v])
                value = T.Select(_stays(x, kept), x * scale, T.float32(0))
                T.buffer_store(out, value, [row, v])

            here.strided(vocab_size, write)

    return define("renormalize", emit)


def _mass(here: Block, probs: tirx.Buffer, row: Expr, width: int, least: Expr) -> Expr:
    """Emit the sum of what stays of a row."""
    part = here.local("float32", T.float32(0))

    def add(v: Expr) -> None:
        x = T.bind(probs[row, v])
        T.buffer_store(part, part[0] + T.Select(_stays(x, least), x, T.float32(0)), [0])

    here.strided(width, add)
    return here.reduced(part[0], "float32", lambda x, y: x + y)


def _stays(x: Expr, least: Expr) -> Expr:
    return T.reinterpret("int32", x) >= least
