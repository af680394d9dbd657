"""A few rows of activations times a transposed weight: decoding in the layout KN.

Vectors run along N, as the weights lie in memory. Each row of words is taken apart and
added, code by code times an activation, to all sums of a strip of columns: what BLAS
calls axpy. No lanes are ever summed. Strips at the edge overlap the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tvm.ir import Expr
from tvm.tirx import Buffer, const, if_then_else
from tvm.tirx.script import builder as T

from mlcx.compiler.kernels.cpu.operands import Operands
from mlcx.compiler.kernels.cpu.vectors import (
    bind,
    cast,
    fma,
    load,
    number,
    prefetch,
    splat,
    store,
)
from mlcx.compiler.kernels.cpu.weights import GroupQuantized
from mlcx.compiler.kernels.cpu.words import code_of_words, weight_of_code

__all__ = ["Scaled", "axpy", "scale"]

_STRIP = 256
"""Columns of a task: a page holds four such rows of words."""
_CHAINS = 4
"""Independent sums that hide how long an addition takes."""


@dataclass(frozen=True)
class Scaled:
    """Float32 buffers of activations for codes that are masked where they stand.

    ``values`` (M, groups * G): each divided by what its code counts too much, zero past
    K; ``offsets`` (M, groups): -zero times the sum of the activations of a group.
    """

    values: Buffer
    offsets: Buffer


def scale(operands: Operands, fmt: GroupQuantized) -> Scaled:
    """Scale all rows of x for the codes of ``fmt``."""
    rows, k, groups = operands.rows, operands.k, fmt.groups(operands.k)
    scaled = Scaled(
        T.alloc_buffer((rows, groups * fmt.group_size), "float32"),
        T.alloc_buffer((rows, groups), "float32"),
    )
    with T.serial(rows) as m, T.serial(groups) as group:
        total: Expr = const(0, "float32")
        for i in range(fmt.group_size):
            at = group * fmt.group_size + i
            element = cast(operands.x[m, at], "float32", 1)
            if k % fmt.group_size:
                element = if_then_else(at < k, element, const(0, "float32"))
            value = bind(element)
            total = total + value
            factor = const(1 / weight_of_code(fmt, i % fmt.codes), "float32")
            T.buffer_store(scaled.values, value * factor, [m, at])
        offset = total * const(-fmt.zero, "float32")
        T.buffer_store(scaled.offsets, offset, [m, group])
    return scaled


def axpy(operands: Operands, fmt: GroupQuantized, x: Scaled, block: int) -> None:
    """Write all rows of out, ``block`` rows of x at a time.

    Blocks at the edge repeat the last row, so that every block is whole.
    """
    n, rows = operands.n, operands.rows
    lanes = operands.lanes
    while lanes > n:
        lanes //= 2
    width = min(_STRIP, n // lanes * lanes)
    with T.parallel(-(-n // width)) as p:
        strip = _Strip(operands, fmt, x, bind(T.min(p * width, n - width)), lanes)
        sums = T.alloc_buffer((block, width), "float32")
        with T.serial((rows + block - 1) // block) as b:
            ms = [bind(T.min(b * block + r, rows - 1)) for r in range(block)]
            for r in range(block):
                with T.serial(width // lanes) as v:
                    store(sums, number(0, lanes), r, v * lanes, lanes=lanes)
            groups = fmt.groups(operands.k)
            with T.serial(groups) as group, T.serial(width // lanes) as v:
                strip.add(sums, ms, group, v * lanes)
            for r, m in enumerate(ms):
                with T.serial(width // lanes) as v:
                    strip.write(sums, r, m, v * lanes)


@dataclass(frozen=True)
class _Strip:
    """Columns from ``n0`` on, a vector of ``lanes`` of them at a time."""

    operands: Operands
    format: GroupQuantized
    x: Scaled
    n0: Expr
    lanes: int

    def add(self, sums: Buffer, ms: Sequence[Expr], group: Expr, column: Expr) -> None:
        """Add the products of one group to the sums of one vector."""
        q_weight, q_scale = self.operands.weights
        lanes, fmt = self.lanes, self.format
        n = bind(self.n0 + column)
        chains = max(1, _CHAINS // len(ms))
        rest = [number(0, lanes)] * (chains - 1)
        parts = [[splat(self.x.offsets[m, group], lanes), *rest] for m in ms]
        for w in range(fmt.words):
            word = group * fmt.words + w
            prefetch(q_weight, word + fmt.words, n)
            words = bind(load(q_weight, word, n, lanes=lanes))
            for j in range(fmt.codes):
                code = bind(code_of_words(fmt, words, j, lanes))
                for part, m in zip(parts, ms, strict=True):
                    value = splat(self.x.values[m, word * fmt.codes + j], lanes)
                    chain = j % chains
                    part[chain] = bind(fma(code, value, part[chain], lanes))
        prefetch(q_scale, group + 1, n)
        factor = bind(cast(load(q_scale, group, n, lanes=lanes), "float32", lanes))
        for r, part in enumerate(parts):
            total = load(sums, r, column, lanes=lanes)
            value = sum(part[1:], part[0])
            store(sums, fma(value, factor, total, lanes), r, column, lanes=lanes)

    def write(self, sums: Buffer, r: int, m: Expr, column: Expr) -> None:
        """Write the sums of one vector and one row to out."""
        operands, lanes = self.operands, self.lanes
        value = load(sums, r, column, lanes=lanes)
        narrow = cast(value, operands.out_dtype, lanes)
        store(operands.out, narrow, m, self.n0 + column, lanes=lanes)
