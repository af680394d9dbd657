"""Many rows of activations times the weights: prefill.

Each task widens a panel of a few weight rows to float32, laid out (k, n), and runs
all rows of activations past it, a block of them at a time, in registers. Blocks at
the edge overlap the one before, and rows past the end repeat the last one, so that
every block is whole.
"""

from __future__ import annotations

from tvm.ir import Expr
from tvm.tirx import Buffer
from tvm.tirx.script import builder as T

from mlcx.compiler.kernels.cpu.activations import weight_of_code
from mlcx.compiler.kernels.cpu.gemv import code_of_words
from mlcx.compiler.kernels.cpu.operands import Operands
from mlcx.compiler.kernels.cpu.vectors import (
    Register,
    bind,
    cast,
    flat,
    fma,
    load,
    number,
    splat,
    store,
)
from mlcx.compiler.kernels.cpu.weights import WORDS, GroupQuantized

__all__ = ["gemm"]

_BLOCK_ROWS = 12
_PANEL_VECTORS = 2


def gemm(operands: Operands) -> None:
    """Write all rows of out."""
    lanes, vectors = _panel_shape(operands)
    width = lanes * vectors
    blocks = (operands.rows + _BLOCK_ROWS - 1) // _BLOCK_ROWS
    x = _packed(operands, blocks)
    panels = -(-operands.n // width)
    with T.parallel(panels) as p:
        n0 = bind(T.min(p * width, operands.n - width))
        panel = _panel(operands, n0, lanes, vectors)
        with T.serial(blocks) as block:
            _block(operands, x, panel, n0, block, lanes, vectors)


def _panel_shape(operands: Operands) -> tuple[int, int]:
    lanes = operands.lanes
    while lanes > operands.n:
        lanes //= 2
    return lanes, min(_PANEL_VECTORS, operands.n // lanes)


def _row(operands: Operands, block: Expr, r: Expr | int) -> Expr:
    first = T.max(T.min(block * _BLOCK_ROWS, operands.rows - _BLOCK_ROWS), 0)
    return T.min(first + r, operands.rows - 1)


def _packed(operands: Operands, blocks: Expr | int) -> Buffer:
    """Return x as float32 (blocks, K, rows of a block)."""
    x = T.alloc_buffer((blocks, operands.k, _BLOCK_ROWS), "float32")
    with (
        T.parallel(blocks) as block,
        T.serial(_BLOCK_ROWS) as r,
        T.serial(operands.k) as k,
    ):
        value = operands.x[_row(operands, block, r), k]
        T.buffer_store(x, cast(value, "float32", 1), [block, k, r])
    return x


def _panel(operands: Operands, n0: Expr, lanes: int, vectors: int) -> Buffer:
    """Return W[n0 : n0+width, :] as float32 (k, width); k may go past K."""
    fmt = operands.format
    if isinstance(fmt, GroupQuantized):
        return _quantized_panel(operands, fmt, n0, lanes, vectors)
    panel = T.alloc_buffer((operands.k, lanes * vectors), "float32")
    (weight,) = (flat(w) for w in operands.weights)
    with T.serial(operands.k) as k:
        for v in range(vectors):
            w = load(
                weight,
                (n0 + v * lanes) * operands.k + k,
                lanes=lanes,
                stride=operands.k,
            )
            store(panel, cast(w, "float32", lanes), k, v * lanes, lanes=lanes)
    return panel


def _quantized_panel(
    operands: Operands, fmt: GroupQuantized, n0: Expr, lanes: int, vectors: int
) -> Buffer:
    q_weight, q_scale = (flat(w) for w in operands.weights)
    groups = fmt.groups(operands.k)
    row_words = WORDS * groups
    panel = T.alloc_buffer((groups * fmt.group_size, lanes * vectors), "float32")
    with T.serial(groups) as group:
        for v in range(vectors):
            row = n0 + v * lanes
            narrow = load(q_scale, row * groups + group, lanes=lanes, stride=groups)
            scale = bind(cast(narrow, "float32", lanes))
            steps = [
                bind(scale * number(1 / weight_of_code(fmt, j), lanes))
                for j in range(fmt.codes)
            ]
            offset = bind(scale * number(-fmt.zero, lanes))
            with T.serial(WORDS) as w:
                word = bind(group * WORDS + w)
                words = bind(
                    load(
                        q_weight, row * row_words + word, lanes=lanes, stride=row_words
                    )
                )
                for j in range(fmt.codes):
                    code = code_of_words(fmt, words, j, lanes)
                    value = fma(code, steps[j], offset, lanes)
                    at = word * fmt.codes + j
                    store(panel, value, at, v * lanes, lanes=lanes)
    return panel


def _block(
    operands: Operands,
    x: Buffer,
    panel: Buffer,
    n0: Expr,
    block: Expr,
    lanes: int,
    vectors: int,
) -> None:
    sums = [[Register(lanes) for _ in range(vectors)] for _ in range(_BLOCK_ROWS)]
    for row in sums:
        for total in row:
            total.set(number(0, lanes))
    with T.serial(operands.k) as k:
        w = [bind(load(panel, k, v * lanes, lanes=lanes)) for v in range(vectors)]
        for r, row in enumerate(sums):
            value = bind(splat(x[block, k, r], lanes))
            for v, total in enumerate(row):
                total.set(fma(value, w[v], total.value, lanes))
    for r, row in enumerate(sums):
        m = bind(_row(operands, block, r))
        for v, total in enumerate(row):
            value = cast(total.value, operands.out_dtype, lanes)
            store(operands.out, value, m, n0 + v * lanes, lanes=lanes)
