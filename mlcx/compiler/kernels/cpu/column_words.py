"""A few rows of activations times a weight whose words hold neighbours along N.

A vector of words is read from each of the rows of the weight that make a group, and
taken apart by masks into one vector for each code of a word; each is multiplied by the
activation and added. What belongs to the group, how often a code counts in its place
and the order of the columns are seen to once a group, and once at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tvm.ir import Expr
from tvm.tirx import Buffer, const
from tvm.tirx.script import builder as T

from mlcx.compiler.kernels.cpu.activations import widen
from mlcx.compiler.kernels.cpu.operands import Operands
from mlcx.compiler.kernels.cpu.vectors import (
    Register,
    bind,
    cast,
    flat,
    fma,
    load,
    number,
    prefetch,
    splat,
    store,
)
from mlcx.compiler.kernels.cpu.weights import WordsOfColumns
from mlcx.compiler.kernels.cpu.words import code_of_words, weight_of_code

__all__ = ["Grouped", "column_words", "grouped"]

_VECTORS = 4
"""Vectors of words in a strip, which a task takes: cache lines of a row."""

_AHEAD = 16
"""Rows of the weight between what is read and what is asked for."""


@dataclass(frozen=True)
class Grouped:
    """Activations as float32 (M, K), and the sums (M, g) of each group of them."""

    values: Buffer
    sums: Buffer


def grouped(operands: Operands, fmt: WordsOfColumns) -> Grouped:
    """Widen all rows of x, and sum them up by groups."""
    values = widen(operands)
    groups = operands.k // fmt.group_size
    sums = T.alloc_buffer((operands.rows, groups), "float32")
    with T.serial(operands.rows) as m, T.serial(groups) as group:
        T.buffer_store(sums, const(0, "float32"), [m, group])
        with T.serial(fmt.group_size) as k:
            value = values[m, group * fmt.group_size + k]
            T.buffer_store(sums, sums[m, group] + value, [m, group])
    return Grouped(values, sums)


def column_words(
    operands: Operands, fmt: WordsOfColumns, x: Grouped, block: int
) -> None:
    """Write all rows of out, ``block`` rows of x at a time.

    Blocks and strips at the edge overlap the one before, so that all are whole.
    """
    words, rows = operands.n // fmt.codes, operands.rows
    lanes = operands.lanes
    while lanes > words:
        lanes //= 2
    width = min(_VECTORS, words // lanes) * lanes
    with T.parallel(-(-words // width)) as p:
        strip = _Strip(operands, fmt, x, bind(T.min(p * width, words - width)), lanes)
        sums = T.alloc_buffer((block, fmt.codes, width), "float32")
        with T.serial((rows + block - 1) // block) as b:
            ms = [bind(T.min(b * block + r, rows - 1)) for r in range(block)]
            for r in range(block):
                with T.serial(fmt.codes) as column, T.serial(width // lanes) as v:
                    store(sums, number(0, lanes), r, column, v * lanes, lanes=lanes)
            groups = operands.k // fmt.group_size
            with T.serial(groups) as group, T.serial(width // lanes) as v:
                strip.add(sums, ms, group, v * lanes)
            for r, m in enumerate(ms):
                strip.write(sums, r, m, width)


@dataclass(frozen=True)
class _Strip:
    """Words from number ``word0`` of a row on, a vector of ``lanes`` at a time."""

    operands: Operands
    format: WordsOfColumns
    x: Grouped
    word0: Expr
    lanes: int

    def add(self, sums: Buffer, ms: Sequence[Expr], group: Expr, word: Expr) -> None:
        """Add the products of one group to the sums of one vector of words."""
        qweight, qzeros, _ = self.operands.weights
        lanes, fmt = self.lanes, self.format
        at = bind(self.word0 + word)
        registers = [[Register(lanes) for _ in range(fmt.codes)] for _ in ms]
        for row in registers:
            for register in row:
                register.set(number(0, lanes))
        with T.serial(fmt.group_size) as i:
            k = bind(group * fmt.group_size + i)
            prefetch(qweight, k + _AHEAD, at)
            words = bind(load(qweight, k, at, lanes=lanes))
            values = [bind(splat(self.x.values[m, k], lanes)) for m in ms]
            for place in range(fmt.codes):
                code = bind(code_of_words(fmt, words, place, lanes))
                for row, value in zip(registers, values, strict=True):
                    row[place].set(fma(code, value, row[place].value, lanes))
        zeros = bind(load(qzeros, group, at, lanes=lanes))
        for place in range(fmt.codes):
            self._scale(sums, registers, ms, group, word, zeros, place)

    def _scale(
        self,
        sums: Buffer,
        registers: Sequence[Sequence[Register]],
        ms: Sequence[Expr],
        group: Expr,
        word: Expr,
        zeros: Expr,
        place: int,
    ) -> None:
        """Add the sums of a group and of the codes in one place of their words."""
        lanes, fmt = self.lanes, self.format
        column = fmt.shifts.index(fmt.bits * place)
        scales = flat(self.operands.weights[2])
        first = group * self.operands.n + (self.word0 + word) * fmt.codes + column
        scale = load(scales, first, lanes=lanes, stride=fmt.codes)
        scale = bind(cast(scale, "float32", lanes))
        zero = bind(code_of_words(fmt, zeros, place, lanes))
        unit = number(1 / weight_of_code(fmt, place), lanes)
        for r, m in enumerate(ms):
            offset = zero * splat(-self.x.sums[m, group], lanes)
            product = (registers[r][place].value + offset) * unit * scale
            total = load(sums, r, column, word, lanes=lanes) + product
            store(sums, total, r, column, word, lanes=lanes)

    def write(self, sums: Buffer, r: int, m: Expr, width: int) -> None:
        """Write the sums of one row to out."""
        operands, fmt = self.operands, self.format
        place = operands.out_row(m)
        with T.serial(width) as w, T.serial(fmt.codes) as column:
            value = cast(sums[r, column, w], operands.out_dtype, 1)
            n = (self.word0 + w) * fmt.codes + column
            T.buffer_store(operands.out, value, [place, n])
