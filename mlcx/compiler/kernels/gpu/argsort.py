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
from mlcx.compiler.kernels.limits import LOWEST
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
        row, width = self._here.at[0], self._rows.width
        for slot, at in self._slots():
            number = T.Cast("int32", at)
            if indices is not None:
                number = T.if_then_else(at < width, indices[row, at], number)
            value = T.if_then_else(at < width, values[row, at], T.float32(LOWEST))
            T.buffer_store(self._values, value, [slot])
            T.buffer_store(self._indices, number, [slot])
        meet()

    def store(self) -> None:
        """Emit writing it to the rows."""
        row = self._here.at[0]
        for slot, at in self._slots():
            value, number = T.bind(self._values[slot]), T.bind(self._indices[slot])
            with T.If(at < self._rows.width), T.Then():
                T.buffer_store(self._rows.ranked, value, [row, at])
                T.buffer_store(self._rows.indices, number, [row, at])

    def compare(self, low: Expr, high: Expr) -> None:
        """Emit putting two elements in order, ``low`` being before ``high``.

        Not under a condition, where TVM cannot have the threads wait for each other.
        """
        x, y = T.bind(self._values[low]), T.bind(self._values[high])
        i, j = T.bind(self._indices[low]), T.bind(self._indices[high])
        later = T.bind(_comes_first(y, x, j, i))
        T.buffer_store(self._values, T.Select(later, y, x), [low])
        T.buffer_store(self._values, T.Select(later, x, y), [high])
        T.buffer_store(self._indices, T.Select(later, j, i), [low])
        T.buffer_store(self._indices, T.Select(later, i, j), [high])
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
    """Emit one step over whole rows, in memory: over as many tiles as a power of 2."""
    tiles = 1 << (rows.tiles - 1).bit_length()
    with block(rows.count, tiles) as here:
        row, part = here.at
        low, high = pairs(part * THREADS + T.Cast("int64", here.thread))
        with T.If(high < rows.width), T.Then():
            _order(rows, row, low, high)


def _inwards(pair: Expr, size: Expr) -> tuple[Expr, Expr]:
    """Return pair ``pair`` of those that groups of ``size`` have from their ends in."""
    half = size // 2
    group, place = pair // half * size, pair % half
    return T.bind(group + place), T.bind(group + size - 1 - place)


def _apart(pair: Expr, distance: Expr) -> tuple[Expr, Expr]:
    """Return pair ``pair`` of those that are ``distance`` apart."""
    low = T.bind(pair // distance * (2 * distance) + pair % distance)
    return low, T.bind(low + distance)


def _order(rows: _Rows, row: Expr, low: Expr, high: Expr) -> None:
    """Emit the exchange of two elements if the later one comes first."""
    x, y = T.bind(rows.ranked[row, low]), T.bind(rows.ranked[row, high])
    i, j = T.bind(rows.indices[row, low]), T.bind(rows.indices[row, high])
    with T.If(_comes_first(y, x, j, i)), T.Then():
        T.buffer_store(rows.ranked, y, [row, low])
        T.buffer_store(rows.ranked, x, [row, high])
        T.buffer_store(rows.indices, j, [row, low])
        T.buffer_store(rows.indices, i, [row, high])


def _comes_first(x: Expr, y: Expr, i: Expr, j: Expr) -> Expr:
    """Say whether element ``i`` of value ``x`` comes before ``j`` of ``y``."""
    return tirx.any(x > y, tirx.all(x == y, i < j))
