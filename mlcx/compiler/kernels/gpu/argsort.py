"""Descending, stable argsort of rows on the GPU: a bitonic sorting network.

Batcher's network (1968) in the form whose comparisons all point one way: the first
step of a merge compares the ends of a group inwards, the others at a falling distance.
What lies past the end of a row would only ever lose, so that it needs no memory. Steps
within a tile take place in memory that the threads of a block share.
"""

from __future__ import annotations

from collections.abc import Callable

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.gpu.launch import THREADS, Block, block, meet
from mlcx.compiler.kernels.script import array, define, view

__all__ = ["argsort_descending"]

_TILE = 2 * THREADS
"""Elements that a block sorts: each thread compares two."""

_LOG_TILE = _TILE.bit_length() - 1

_Pairs = Callable[[Expr], tuple[Expr, Expr]]
"""Number of a pair to the places of its two elements, the lower first."""


def argsort_descending(width: int) -> tirx.PrimFunc:
    """Return f(values (B, width) f32, sorted (B, width) f32, indices (B, width) int32).

    Equal values keep their order. Where NaN goes is not said.
    """
    levels = (width - 1).bit_length()

    def emit() -> None:
        b = T.int64()
        values = view("values", (b, width), "float32")
        ranked = array("ranked", (b, width), "float32")
        indices = array("indices", (b, width), "int32")
        rows = _Rows(b, width, ranked, indices)
        _sort_tiles(rows, values)
        if levels > _LOG_TILE:
            with T.serial(levels - _LOG_TILE) as more:
                level = T.bind(T.Cast("int64", more) + (_LOG_TILE + 1))
                size = T.bind(T.shift_left(T.int64(1), level))
                _compare_far(rows, lambda pair: _inwards(pair, size))
                with T.serial(level - 1 - _LOG_TILE) as step:
                    far = level - 2 - T.Cast("int64", step)
                    distance = T.bind(T.shift_left(T.int64(1), far))
                    _compare_far(rows, lambda pair: _apart(pair, distance))
                _merge_tiles(rows)

    return define("argsort", emit)


class _Rows:
    """The rows that are sorted in place."""

    def __init__(
        self, count: Expr, width: int, ranked: tirx.Buffer, indices: tirx.Buffer
    ) -> None:
        self.count = count
        self.width = width
        self.ranked = ranked
        self.indices = indices

    @property
    def tiles(self) -> int:
        """In each row."""
        return -(-self.width // _TILE)


class _Tile:
    """A tile of a row in shared memory; what is past the row's end comes last."""

    def __init__(self, rows: _Rows, here: Block) -> None:
        self._rows = rows
        self._here = here
        self._values = T.alloc_buffer((_TILE,), "float32", scope="shared")
        self._indices = T.alloc_buffer((_TILE,), "int32", scope="shared")

    def load(self, values: tirx.Buffer, indices: tirx.Buffer | None) -> None:
        """Emit reading it; without ``indices`` elements are numbered."""
        row = self._here.at[0]
        for slot, at in self._slots():
            with T.If(at < self._rows.width), T.Then():
                number = T.Cast("int32", at) if indices is None else indices[row, at]
                T.buffer_store(self._values, values[row, at], [slot])
                T.buffer_store(self._indices, number, [slot])
        meet()

    def store(self) -> None:
        """Emit writing it to the rows."""
        row = self._here.at[0]
        for slot, at in self._slots():
            with T.If(at < self._rows.width), T.Then():
                T.buffer_store(self._rows.ranked, self._values[slot], [row, at])
                T.buffer_store(self._rows.indices, self._indices[slot], [row, at])

    def compare(self, low: Expr, high: Expr) -> None:
        """Emit putting two elements in order, ``low`` being before ``high``."""
        with T.If(self._begin() + high < self._rows.width), T.Then():
            _order(self._values, self._indices, (low,), (high,))
        meet()

    def _slots(self) -> list[tuple[Expr, Expr]]:
        """Return the places that this thread fills, in the tile and in the row."""
        slots = [T.Cast("int64", self._here.thread) + part * THREADS for part in (0, 1)]
        return [(slot, self._begin() + slot) for slot in slots]

    def _begin(self) -> Expr:
        return self._here.at[1] * _TILE


def _sort_tiles(rows: _Rows, values: tirx.Buffer) -> None:
    with block(rows.count, rows.tiles) as here:
        tile, pair = _Tile(rows, here), T.Cast("int64", here.thread)
        tile.load(values, None)
        for level in range(1, _LOG_TILE + 1):
            tile.compare(*_inwards(pair, T.int64(1 << level)))
            for distance in range(level - 2, -1, -1):
                tile.compare(*_apart(pair, T.int64(1 << distance)))
        tile.store()


def _merge_tiles(rows: _Rows) -> None:
    with block(rows.count, rows.tiles) as here:
        tile, pair = _Tile(rows, here), T.Cast("int64", here.thread)
        tile.load(rows.ranked, rows.indices)
        for distance in range(_LOG_TILE - 1, -1, -1):
            tile.compare(*_apart(pair, T.int64(1 << distance)))
        tile.store()


def _compare_far(rows: _Rows, pairs: _Pairs) -> None:
    """Emit one step over whole rows, in memory."""
    with block(rows.count, rows.tiles) as here:
        row, part = here.at
        low, high = pairs(part * THREADS + T.Cast("int64", here.thread))
        with T.If(high < rows.width), T.Then():
            _order(rows.ranked, rows.indices, (row, low), (row, high))


def _inwards(pair: Expr, size: Expr) -> tuple[Expr, Expr]:
    """Return pair ``pair`` of those that groups of ``size`` have from their ends in."""
    half = size // 2
    group, place = pair // half * size, pair % half
    return T.bind(group + place), T.bind(group + size - 1 - place)


def _apart(pair: Expr, distance: Expr) -> tuple[Expr, Expr]:
    """Return pair ``pair`` of those that are ``distance`` apart."""
    low = T.bind(pair // distance * (2 * distance) + pair % distance)
    return low, T.bind(low + distance)


def _order(
    values: tirx.Buffer,
    indices: tirx.Buffer,
    low: tuple[Expr, ...],
    high: tuple[Expr, ...],
) -> None:
    """Emit the exchange of two elements if the later one comes first."""
    x, y = T.bind(values[low]), T.bind(values[high])
    i, j = T.bind(indices[low]), T.bind(indices[high])
    with T.If(tirx.any(y > x, tirx.all(x == y, j < i))), T.Then():
        T.buffer_store(values, y, low)
        T.buffer_store(values, x, high)
        T.buffer_store(indices, j, low)
        T.buffer_store(indices, i, high)
