"""Dot products of a few rows of activations with a few rows of weights.

What both gemv and small batches are made of. Vectors run along K, as the weights lie
in memory, and their lanes are summed at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tvm.ir import Expr
from tvm.tirx import Buffer
from tvm.tirx.script import builder as T

from mlcx.compiler.kernels.cpu.activations import Shuffled, shuffle, widen
from mlcx.compiler.kernels.cpu.operands import Operands
from mlcx.compiler.kernels.cpu.row_values import row_values
from mlcx.compiler.kernels.cpu.vectors import (
    Register,
    bind,
    cast,
    fma,
    lanes_sum,
    load,
    number,
    pick,
    prefetch,
    splat,
)
from mlcx.compiler.kernels.cpu.weights import GroupQuantized
from mlcx.compiler.kernels.cpu.words import code_of_words

__all__ = ["Dot", "PlainDot", "QuantizedDot", "dot_for", "stream_rows"]

_PLAIN_CHAINS = 4
"""Independent sums that hide how long an addition takes."""

_Index: TypeAlias = Expr | int


@dataclass(frozen=True)
class _Sums:
    """One vector register for each pair of a weight row and an activation row."""

    lanes: int
    registers: tuple[tuple[Register, ...], ...]

    @classmethod
    def zero(cls, weight_rows: int, x_rows: int, lanes: int) -> _Sums:
        registers = tuple(
            tuple(Register(lanes) for _ in range(x_rows)) for _ in range(weight_rows)
        )
        for row in registers:
            for register in row:
                register.set(number(0, lanes))
        return cls(lanes, registers)

    def add(self, r: int, b: int, value: Expr, factor: Expr) -> None:
        register = self.registers[r][b]
        register.set(fma(value, factor, register.value, self.lanes))

    def total(self, r: int, b: int) -> Expr:
        return lanes_sum(self.registers[r][b].value, self.lanes)


@dataclass(frozen=True)
class QuantizedDot:
    """Dot products with a group-quantized weight; ``x`` was shuffled for it."""

    operands: Operands
    format: GroupQuantized
    x: Shuffled

    def write(self, ns: Sequence[_Index], ms: Sequence[_Index]) -> None:
        """Write ``out[m, n]`` for each m and n."""
        operands, lanes = self.operands, self.operands.lanes
        rows = _x_rows(operands, ms)
        words = self.format.row_words(operands.k)
        wide = words // lanes * lanes
        parts = []
        if wide:
            parts.append(_Sums.zero(len(ns), len(ms), lanes))
            with T.serial(wide // lanes) as chunk:
                for n in ns:
                    prefetch(operands.weights[0], n + 1, chunk * lanes)
                self._add(parts[-1], ns, rows, chunk * lanes)
        if wide < words:
            rest = self.format.rest_lanes(lanes)
            parts.append(_Sums.zero(len(ns), len(ms), rest))
            with T.serial((words - wide) // rest) as chunk:
                self._add(parts[-1], ns, rows, wide + chunk * rest)
        _write(operands, ns, ms, parts)

    def _add(
        self, sums: _Sums, ns: Sequence[_Index], rows: Sequence[_Index], word: Expr
    ) -> None:
        """Add the products of one vector of words, scaled."""
        q_weight, _ = self.operands.weights
        lanes, fmt, x = sums.lanes, self.format, self.x
        words = [bind(load(q_weight, n, word, lanes=lanes)) for n in ns]
        offsets = [bind(load(x.offsets, m, word, lanes=lanes)) for m in rows]
        parts = [list(offsets) for _ in ns]
        for j in range(fmt.codes):
            codes = [bind(code_of_words(fmt, w, j, lanes)) for w in words]
            at = word * fmt.codes + j * lanes
            for b, m in enumerate(rows):
                value = bind(load(x.values, m, at, lanes=lanes))
                for r, code in enumerate(codes):
                    parts[r][b] = bind(fma(code, value, parts[r][b], lanes))
        for r, n in enumerate(ns):
            scale = self._scales(n, word, lanes)
            for b, part in enumerate(parts[r]):
                sums.add(r, b, part, scale)

    def _scales(self, n: _Index, word: Expr, lanes: int) -> Expr:
        """Return each word's scale."""
        _, q_scale = self.operands.weights
        words = self.format.words
        groups = max(1, lanes // words)
        group = word // words
        scale = bind(cast(load(q_scale, n, group, lanes=groups), "float32", groups))
        if groups == 1:
            return splat(scale, lanes)
        return bind(pick([scale] * words, [i // words for i in range(lanes)]))


@dataclass(frozen=True)
class PlainDot:
    """Dot products with a weight of numbers; ``x`` is float32 (M, K)."""

    operands: Operands
    x: Buffer

    def write(self, ns: Sequence[_Index], ms: Sequence[_Index]) -> None:
        """Write ``out[m, n]`` for each m and n."""
        operands, lanes = self.operands, self.operands.lanes
        chains = max(1, _PLAIN_CHAINS // (len(ns) * len(ms)))
        rows = _x_rows(operands, ms)
        chunk_size = lanes * chains
        wide = operands.k // chunk_size * chunk_size
        parts = []
        if wide:
            parts += [_Sums.zero(len(ns), len(ms), lanes) for _ in range(chains)]
            with T.serial(wide // chunk_size) as chunk:
                for chain, sums in enumerate(parts):
                    k = chunk * chunk_size + chain * lanes
                    for n in ns:
                        prefetch(operands.weights[0], n + 1, k)
                    self._add(sums, ns, rows, k)
        if wide < operands.k:
            parts.append(_Sums.zero(len(ns), len(ms), 1))
            with T.serial(operands.k - wide) as k:
                self._add(parts[-1], ns, rows, wide + k)
        _write(operands, ns, ms, parts)

    def _add(
        self, sums: _Sums, ns: Sequence[_Index], rows: Sequence[_Index], k: Expr
    ) -> None:
        lanes = sums.lanes
        w = [bind(row_values(self.operands, n, k, lanes)) for n in ns]
        for b, m in enumerate(rows):
            value = bind(load(self.x, m, k, lanes=lanes))
            for r in range(len(ns)):
                sums.add(r, b, w[r], value)


Dot: TypeAlias = QuantizedDot | PlainDot


def dot_for(operands: Operands) -> Dot:
    """Lay out all rows of x for the format of the weight."""
    if isinstance(operands.format, GroupQuantized):
        return QuantizedDot(operands, operands.format, shuffle(operands))
    return PlainDot(operands, widen(operands))


def stream_rows(
    n: Expr | int, count: int
) -> tuple[Expr | int, Callable[[Expr], list[Expr]]]:
    """Share N rows out among up to ``count`` streams of following rows.

    Returns how many rows a stream has, and a function of a position that returns the
    rows there, one of each stream. Far apart, every stream looks like a plain read
    to the CPU, while a load of an activation serves them all. The last row is
    repeated where a stream is too short.
    """
    count = min(count, n) if isinstance(n, int) else count
    length = (n + count - 1) // count

    def rows_at(i: Expr) -> list[Expr]:
        return [i, *(T.min(i + s * length, n - 1) for s in range(1, count))]

    return length, rows_at


def _x_rows(operands: Operands, ms: Sequence[_Index]) -> list[_Index]:
    places = (operands.x_row(m) for m in ms)
    return [place if isinstance(place, int) else bind(place) for place in places]


def _write(
    operands: Operands,
    ns: Sequence[_Index],
    ms: Sequence[_Index],
    parts: Sequence[_Sums],
) -> None:
    for b, m in enumerate(ms):
        row = operands.out_row(m)
        for r, n in enumerate(ns):
            total = sum((p.total(r, b) for p in parts[1:]), parts[0].total(r, b))
            T.buffer_store(operands.out, cast(total, operands.out_dtype, 1), [row, n])
