"""Many rows of activations times the weights: prefill.

A task takes a panel of weight rows, a step of K at a time: widened to float32 in the
first-level cache, then multiplied with all rows of activations, a block of them at a
time, sums in registers. Blocks at the edge overlap the one before, and rows past the
end repeat the last one, so that every block is whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from tvm.ir import Expr
from tvm.tirx import Buffer
from tvm.tirx.script import builder as T

from mlcx.compiler.kernels.cpu.operands import Operands
from mlcx.compiler.kernels.cpu.panel import Panel, step_depth
from mlcx.compiler.kernels.cpu.vectors import (
    Register,
    bind,
    cast,
    fma,
    load,
    number,
    splat,
    store,
)

__all__ = ["VECTORS", "gemm"]

VECTORS = 3
"""Of n in a block of sums, where there are as many."""


@dataclass(frozen=True)
class _Tile:
    """What a block of sums in registers covers: rows of x by vectors of n."""

    rows: int
    vectors: int
    lanes: int

    @property
    def width(self) -> int:
        return self.vectors * self.lanes


def gemm(operands: Operands) -> None:
    """Write all rows of out."""
    tile = _tile(operands)
    blocks = (operands.rows + tile.rows - 1) // tile.rows
    depth = step_depth(operands)
    x = _packed(operands, tile, blocks)
    with T.parallel((operands.n + tile.width - 1) // tile.width) as p:
        n0 = bind(T.min(p * tile.width, operands.n - tile.width))
        panel = Panel.allocated(operands, tile.lanes, tile.vectors)
        sums = T.alloc_buffer((blocks * tile.rows, tile.width), "float32")
        with T.serial(blocks * tile.rows) as r:
            store(sums, number(0, tile.width), r, 0, lanes=tile.width)
        with T.serial(-(-operands.k // depth)) as step:
            panel.fill(n0, step)
            count = bind(T.min(depth, operands.k - step * depth))
            with T.serial(blocks) as block:
                _multiply(tile, x, panel.values, sums, block, step * depth, count)
        with T.serial(blocks) as block, T.serial(tile.rows) as r:
            values = load(sums, block * tile.rows + r, 0, lanes=tile.width)
            m = operands.out_row(_row(operands, tile, block, r))
            narrow = cast(values, operands.out_dtype, tile.width)
            store(operands.out, narrow, m, n0, lanes=tile.width)


def _tile(operands: Operands) -> _Tile:
    """Fill the registers: 32 of them, or 16 where vectors have 8 lanes (AVX2)."""
    lanes = operands.lanes
    rows = 4 if lanes == 8 else 8
    if not isinstance(operands.n, int):
        return _Tile(rows, VECTORS, lanes)
    while lanes > operands.n:
        lanes //= 2
    return _Tile(rows, min(VECTORS, operands.n // lanes), lanes)


def _row(operands: Operands, tile: _Tile, block: Expr, r: Expr) -> Expr:
    first = T.max(T.min(block * tile.rows, operands.rows - tile.rows), 0)
    return T.min(first + r, operands.rows - 1)


def _packed(operands: Operands, tile: _Tile, blocks: Expr | int) -> Buffer:
    """Return x as float32 (blocks, K, rows of a block)."""
    most = operands.rows if operands.most_rows is None else operands.most_rows
    room = (most + tile.rows - 1) // tile.rows
    x = T.alloc_buffer((room, operands.k, tile.rows), "float32")
    with T.parallel(blocks) as block, T.serial(tile.rows) as r:
        row = bind(operands.x_row(_row(operands, tile, block, r)))
        with T.serial(operands.k) as k:
            value = cast(operands.x[row, k], "float32", 1)
            T.buffer_store(x, value, [block, k, r])
    return x


def _multiply(
    tile: _Tile,
    x: Buffer,
    panel: Buffer,
    sums: Buffer,
    block: Expr,
    begin: Expr,
    count: Expr,
) -> None:
    """Add ``count`` products from ``begin`` on to the sums of one block."""
    lanes = tile.lanes
    registers = [
        [Register(lanes) for _ in range(tile.vectors)] for _ in range(tile.rows)
    ]
    for r, row in enumerate(registers):
        for v, total in enumerate(row):
            at = block * tile.rows + r
            total.set(load(sums, at, v * lanes, lanes=lanes))
    with T.serial(count) as k:
        w = [bind(load(panel, k, v * lanes, lanes=lanes)) for v in range(tile.vectors)]
        for r, row in enumerate(registers):
            value = bind(splat(x[block, begin + k, r], lanes))
            for v, total in enumerate(row):
                total.set(fma(value, w[v], total.value, lanes))
    for r, row in enumerate(registers):
        for v, total in enumerate(row):
            at = block * tile.rows + r
            store(sums, total.value, at, v * lanes, lanes=lanes)
