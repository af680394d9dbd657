"""A panel of weights, widened to float32 and turned to (k, n) in the first-level cache.

A step takes ``step_depth`` weights of each row. Rows are read a cache line at a time
and turned in registers; what does not fill a square is gathered. A transposed weight
lies as the panel does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tvm.ir import Expr
from tvm.tirx import Buffer
from tvm.tirx.script import builder as T

from mlcx.compiler.kernels.cpu.operands import Operands
from mlcx.compiler.kernels.cpu.row_values import row_values
from mlcx.compiler.kernels.cpu.vectors import (
    bind,
    cast,
    flat,
    fma,
    load,
    number,
    prefetch,
    store,
    transposed,
)
from mlcx.compiler.kernels.cpu.weights import GroupQuantized, WordsOfColumns
from mlcx.compiler.kernels.cpu.words import (
    code_of_words,
    columns_of_words,
    weight_of_code,
)

__all__ = ["Panel", "step_depth"]

_STEP_GROUPS = 4
_PLAIN_DEPTH = 128


def step_depth(operands: Operands) -> int:
    """Return how many weights of each row a step takes."""
    fmt = operands.format
    if isinstance(fmt, GroupQuantized):
        return _STEP_GROUPS * fmt.group_size
    return fmt.group_size if isinstance(fmt, WordsOfColumns) else _PLAIN_DEPTH


@dataclass(frozen=True)
class Panel:
    """Room for ``W[n0 : n0 + vectors * lanes, step]`` as float32 (depth, columns)."""

    operands: Operands
    lanes: int
    vectors: int
    values: Buffer
    words: Buffer

    @classmethod
    def allocated(cls, operands: Operands, lanes: int, vectors: int) -> Panel:
        """Return a panel with buffers of its own, for one thread."""
        shape = (step_depth(operands), lanes * vectors)
        return cls(
            operands,
            lanes,
            vectors,
            T.alloc_buffer(shape, "float32"),
            T.alloc_buffer((lanes, lanes), "uint32"),
        )

    def fill(self, n0: Expr, step: Expr) -> None:
        """Widen step number ``step`` of the rows from ``n0`` on."""
        with T.serial(self.vectors) as v:
            row = bind(n0 + v * self.lanes)
            column = v * self.lanes
            fmt = self.operands.format
            if isinstance(fmt, WordsOfColumns):
                self._fill_columns(fmt, row, column, step)
            elif not isinstance(fmt, GroupQuantized):
                self._fill_plain(row, column, step)
            elif fmt.transposed:
                self._fill_transposed(fmt, row, column, step)
            else:
                self._fill_quantized(fmt, row, column, step)

    def _fill_plain(self, row: Expr, column: Expr, step: Expr) -> None:
        lanes, operands = self.lanes, self.operands
        begin = step * _PLAIN_DEPTH
        depth = _extent(_PLAIN_DEPTH, operands.k, step)
        with T.serial(depth // lanes) as square:
            at = begin + square * lanes
            rows = [
                bind(row_values(operands, row + i, at, lanes)) for i in range(lanes)
            ]
            for i in range(lanes):
                prefetch(operands.weights[0], row + i, at + _PLAIN_DEPTH)
            for i, values in enumerate(transposed(rows)):
                store(self.values, values, square * lanes + i, column, lanes=lanes)
        done = depth // lanes * lanes
        if _is_nothing(depth - done):
            return
        with T.serial(depth - done) as k, T.serial(lanes) as i:
            value = row_values(operands, row + i, begin + done + k, 1)
            store(self.values, value, done + k, column + i, lanes=1)

    def _fill_columns(
        self, fmt: WordsOfColumns, row: Expr, column: Expr, step: Expr
    ) -> None:
        """Widen a group; the weight lies as the panel does."""
        lanes = self.lanes
        qweight, qzeros, scales = self.operands.weights
        scale = bind(cast(load(scales, step, row, lanes=lanes), "float32", lanes))
        zero = columns_of_words(fmt, qzeros, step, row, lanes)
        offset = bind(zero * scale * number(-1, lanes))
        with T.serial(fmt.group_size) as k:
            at = step * fmt.group_size + k
            prefetch(qweight, at + fmt.group_size, row // fmt.codes)
            code = columns_of_words(fmt, qweight, at, row, lanes)
            value = fma(code, scale, offset, lanes)
            store(self.values, value, k, column, lanes=lanes)

    def _fill_quantized(
        self, fmt: GroupQuantized, row: Expr, column: Expr, step: Expr
    ) -> None:
        lanes = self.lanes
        q_weight = self.operands.weights[0]
        row_words, depth = fmt.row_words(self.operands.k), _STEP_GROUPS * fmt.words
        begin = bind(step * depth)
        count = _extent(depth, row_words, step)
        # Words of a row in a square, or those of them that share a scale.
        run = fmt.rest_lanes(lanes)
        squares = count // lanes
        with T.serial(squares) as square:
            word = bind(begin + square * lanes)
            rows = [
                bind(load(q_weight, row + i, word, lanes=lanes)) for i in range(lanes)
            ]
            for i in range(lanes):
                prefetch(q_weight, row + i, word + depth)
            for i, words in enumerate(transposed(rows)):
                store(self.words, words, i, 0, lanes=lanes)
            with T.serial(lanes // run) as part:
                first = bind(square * lanes + part * run)
                self._fill_words(
                    fmt,
                    column,
                    first,
                    run,
                    self._scales_of_rows(fmt, row, (begin + first) // fmt.words),
                    lambda w: load(self.words, part * run + w, 0, lanes=lanes),
                )
        done = squares * lanes
        if _is_nothing(count - done):
            return
        with T.serial((count - done) // fmt.words) as group:
            first = bind(done + group * fmt.words)
            start = row * row_words + begin + first
            self._fill_words(
                fmt,
                column,
                first,
                fmt.words,
                self._scales_of_rows(fmt, row, (begin + first) // fmt.words),
                lambda w: load(
                    flat(q_weight), start + w, lanes=lanes, stride=row_words
                ),
            )

    def _fill_transposed(
        self, fmt: GroupQuantized, row: Expr, column: Expr, step: Expr
    ) -> None:
        lanes = self.lanes
        q_weight, q_scale = self.operands.weights
        groups = _extent(_STEP_GROUPS, fmt.groups(self.operands.k), step)
        with T.serial(groups) as group:
            at = bind(step * _STEP_GROUPS + group)
            for w in range(fmt.words):
                prefetch(q_weight, (at + _STEP_GROUPS) * fmt.words + w, row)
            self._fill_words(
                fmt,
                column,
                group * fmt.words,
                fmt.words,
                load(q_scale, at, row, lanes=lanes),
                lambda w: load(q_weight, at * fmt.words + w, row, lanes=lanes),
            )

    def _scales_of_rows(self, fmt: GroupQuantized, row: Expr, group: Expr) -> Expr:
        groups = fmt.groups(self.operands.k)
        scales = flat(self.operands.weights[1])
        return load(scales, row * groups + group, lanes=self.lanes, stride=groups)

    def _fill_words(
        self,
        fmt: GroupQuantized,
        column: Expr,
        first: Expr,
        count: int,
        scales: Expr,
        words_of: Callable[[Expr], Expr],
    ) -> None:
        """Widen ``count`` words of the step, from ``first`` on, that share scales."""
        lanes = self.lanes
        scale = bind(cast(scales, "float32", lanes))
        steps = [
            bind(scale * number(1 / weight_of_code(fmt, j), lanes))
            for j in range(fmt.codes)
        ]
        offset = bind(scale * number(-fmt.zero, lanes))
        with T.serial(count) as w:
            words = bind(words_of(w))
            for j in range(fmt.codes):
                code = code_of_words(fmt, words, j, lanes)
                at = (first + w) * fmt.codes + j
                store(
                    self.values,
                    fma(code, steps[j], offset, lanes),
                    at,
                    column,
                    lanes=lanes,
                )


def _extent(size: int, total: int, step: Expr) -> Expr | int:
    """Return how much of ``total`` a step takes: ``size``, or what is left."""
    return size if total % size == 0 else bind(T.min(size, total - step * size))


def _is_nothing(extent: Expr | int) -> bool:
    return isinstance(extent, int) and extent == 0
