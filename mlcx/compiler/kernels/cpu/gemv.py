"""One row of activations times the weights: decoding.

Reading the weights is what takes the time, so each is read once, front to back, and
the cache lines of the row after the next are asked for while this one is computed.
"""

from __future__ import annotations

from tvm.ir import Expr
from tvm.tirx import IntImm, bitwise_and, shift_right
from tvm.tirx.script import builder as T

from mlcx.compiler.kernels.cpu.activations import Shuffled, shuffle, weight_of_code
from mlcx.compiler.kernels.cpu.operands import Operands
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
    signed,
    splat,
    store,
)
from mlcx.compiler.kernels.cpu.weights import WORDS, GroupQuantized

__all__ = ["code_of_words", "gemv", "quantized_dot"]

_ROWS_AHEAD = 2


def gemv(operands: Operands) -> None:
    """Write row 0 of out."""
    if isinstance(operands.format, GroupQuantized):
        shuffled = shuffle(operands, 1)
        with T.parallel(operands.n) as n:
            quantized_dot(operands, shuffled, n, 0, 1)
    else:
        x = widened(operands, 1)
        with T.parallel(operands.n) as n:
            plain_dot(operands, x, n, 0, 1)


def code_of_words(fmt: GroupQuantized, words: Expr, code: int, lanes: int) -> Expr:
    """Return code number ``code`` of each word, times ``weight_of_code``, float32."""
    if (code + 1) * fmt.bits == 32:
        shift = splat(IntImm("uint32", code * fmt.bits), lanes)
        bits = shift_right(words, shift)
    else:
        mask = (2**fmt.bits - 1) << (code * fmt.bits)
        bits = bitwise_and(words, splat(IntImm("uint32", mask), lanes))
    return cast(signed(bits, lanes), "float32", lanes)


def quantized_dot(
    operands: Operands, x: Shuffled, n: Expr, m0: Expr | int, batch: int
) -> None:
    """Write ``out[m, n]`` for rows m0 .. m0+batch-1, clamped to the last row."""
    fmt = operands.format
    assert isinstance(fmt, GroupQuantized)
    lanes = operands.lanes
    words = WORDS * fmt.groups(operands.k)
    chunks = words // lanes
    rows = [_row(operands, m0, b) for b in range(batch)]
    sums = [Register(lanes) for _ in rows]
    for total in sums:
        total.set(number(0, lanes))
    with T.serial(chunks) as chunk:
        if batch == 1:
            prefetch(operands.weights[0], n + _ROWS_AHEAD, chunk * lanes)
        _words_dot(operands, fmt, x, n, rows, chunk * lanes, lanes, sums)
    narrow = [Register(WORDS) for _ in rows]
    for total in narrow:
        total.set(number(0, WORDS))
    if chunks * lanes < words:
        with T.serial((words - chunks * lanes) // WORDS) as group:
            word = chunks * lanes + group * WORDS
            _words_dot(operands, fmt, x, n, rows, word, WORDS, narrow)
    for m, wide, rest in zip(rows, sums, narrow, strict=True):
        total = lanes_sum(wide.value, lanes) + lanes_sum(rest.value, WORDS)
        T.buffer_store(operands.out, cast(total, operands.out_dtype, 1), [m, n])


def _row(operands: Operands, m0: Expr | int, b: int) -> Expr | int:
    return m0 if b == 0 else T.min(m0 + b, operands.rows - 1)


def _words_dot(
    operands: Operands,
    fmt: GroupQuantized,
    x: Shuffled,
    n: Expr,
    rows: list[Expr | int],
    word: Expr,
    lanes: int,
    sums: list[Register],
) -> None:
    q_weight, q_scale = operands.weights
    words = bind(load(q_weight, n, word, lanes=lanes))
    parts = [load(x.offsets, m, word, lanes=lanes) for m in rows]
    for j in range(fmt.codes):
        code = bind(code_of_words(fmt, words, j, lanes))
        at = word * fmt.codes + j * lanes
        for b, m in enumerate(rows):
            value = load(x.values, m, at, lanes=lanes)
            parts[b] = bind(fma(code, value, parts[b], lanes))
    scale = _scales(q_scale, n, word, lanes)
    for total, part in zip(sums, parts, strict=True):
        total.set(fma(part, scale, total.value, lanes))


def _scales(q_scale: Expr, n: Expr, word: Expr, lanes: int) -> Expr:
    groups = lanes // WORDS
    scale = bind(cast(load(q_scale, n, word // WORDS, lanes=groups), "float32", groups))
    if groups == 1:
        return splat(scale, lanes)
    return bind(pick([scale] * WORDS, [i // WORDS for i in range(lanes)]))


def widened(operands: Operands, rows: Expr | int) -> Expr:
    """Return the first rows of x as float32 (rows, K)."""
    x = T.alloc_buffer((rows, operands.k), "float32")
    with T.serial(rows) as m, T.serial(operands.k) as k:
        T.buffer_store(x, cast(operands.x[m, k], "float32", 1), [m, k])
    return x


def plain_dot(operands: Operands, x: Expr, n: Expr, m0: Expr | int, batch: int) -> None:
    """Write ``out[m, n]`` for rows m0 .. m0+batch-1, clamped to the last row."""
    lanes, (weight,) = operands.lanes, operands.weights
    rows = [_row(operands, m0, b) for b in range(batch)]
    streams = max(1, 4 // batch)
    step = lanes * streams
    sums = [[Register(lanes) for _ in range(streams)] for _ in rows]
    for row in sums:
        for total in row:
            total.set(number(0, lanes))
    with T.serial(operands.k // step) as chunk:
        for s in range(streams):
            _plain_step(
                operands,
                x,
                n,
                rows,
                chunk * step + s * lanes,
                lanes,
                [row[s] for row in sums],
            )
    vectors = operands.k // step * step
    rest = [Register(1) for _ in rows]
    for total in rest:
        total.set(number(0, 1))
    if vectors < operands.k:
        with T.serial(operands.k - vectors) as k:
            _plain_step(operands, x, n, rows, vectors + k, 1, rest)
    for m, row, tail in zip(rows, sums, rest, strict=True):
        total = row[0].value
        for other in row[1:]:
            total = total + other.value
        total = lanes_sum(total, lanes) + tail.value
        T.buffer_store(operands.out, cast(total, operands.out_dtype, 1), [m, n])


def _plain_step(
    operands: Operands,
    x: Expr,
    n: Expr,
    rows: list[Expr | int],
    k: Expr,
    lanes: int,
    sums: list[Register],
) -> None:
    (weight,) = operands.weights
    w = bind(cast(load(weight, n, k, lanes=lanes), "float32", lanes))
    for m, total in zip(rows, sums, strict=True):
        total.set(fma(w, load(x, m, k, lanes=lanes), total.value, lanes))
