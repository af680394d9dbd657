"""Activations laid out so that a vector of words meets them without a shuffle.

Lane i of a vector of L words holds the codes of elements E*i .. E*i+E-1 (E codes a
word). So element E*i+j of the activations goes to lane i of vector j, and since code j
is taken out of its word by a mask alone, it counts 2**(bits*j) times too much: the
activation is divided by that power of two, which is exact in float32.
"""

from __future__ import annotations

from dataclasses import dataclass

from tvm.ir import Expr
from tvm.tirx import Buffer, const, if_then_else
from tvm.tirx.script import builder as T

from mlcx.compiler.kernels.cpu.operands import Operands
from mlcx.compiler.kernels.cpu.vectors import bind, cast, load, number, pick, store
from mlcx.compiler.kernels.cpu.weights import GroupQuantized
from mlcx.compiler.kernels.cpu.words import weight_of_code

__all__ = ["Shuffled", "shuffle", "widen"]


@dataclass(frozen=True)
class Shuffled:
    """Float32 buffers of shuffled activations.

    ``values`` (M, words * E): of each vector of words, E vectors; ``offsets``
    (M, words): -zero times the sum of the E activations of each word. Activations
    past K are zero, and so never count.
    """

    values: Buffer
    offsets: Buffer


def widen(operands: Operands) -> Buffer:
    """Return x as float32 (M, K)."""
    x = T.alloc_buffer((operands.rows, operands.k), "float32")
    with T.serial(operands.rows) as m, T.serial(operands.k) as k:
        T.buffer_store(x, cast(operands.x[m, k], "float32", 1), [m, k])
    return x


def shuffle(operands: Operands) -> Shuffled:
    """Shuffle all rows of x."""
    rows = operands.rows
    fmt = operands.format
    assert isinstance(fmt, GroupQuantized)
    words = fmt.row_words(operands.k)
    lanes = operands.lanes
    done = words // lanes * lanes
    whole = min(operands.k // (fmt.codes * lanes), words // lanes)
    shuffled = Shuffled(
        T.alloc_buffer((rows, words * fmt.codes), "float32"),
        T.alloc_buffer((rows, words), "float32"),
    )
    with T.serial(rows) as m:
        if whole:
            with T.serial(whole) as chunk:
                _vectors(operands, fmt, shuffled, m, chunk)
        rest = (done, words, fmt.rest_lanes(lanes))
        for first, last, width in ((whole * lanes, done, lanes), rest):
            if first < last:
                with T.serial((last - first) // width) as chunk:
                    _scalars(operands, fmt, shuffled, m, first + chunk * width, width)
    return shuffled


def _vectors(
    operands: Operands, fmt: GroupQuantized, shuffled: Shuffled, m: Expr, chunk: Expr
) -> None:
    """Shuffle vector number ``chunk`` of words, all within K."""
    lanes, codes = operands.lanes, fmt.codes
    base = chunk * lanes * codes
    flat = [
        bind(cast(load(operands.x, m, base + v * lanes, lanes=lanes), "float32", lanes))
        for v in range(codes)
    ]
    total = None
    for j in range(codes):
        value = bind(pick(flat, [i * codes + j for i in range(lanes)]))
        total = value if total is None else total + value
        scaled = value * number(1 / weight_of_code(fmt, j), lanes)
        store(shuffled.values, scaled, m, base + j * lanes, lanes=lanes)
    offset = total * number(-fmt.zero, lanes)
    store(shuffled.offsets, offset, m, chunk * lanes, lanes=lanes)


def _scalars(
    operands: Operands,
    fmt: GroupQuantized,
    shuffled: Shuffled,
    m: Expr,
    word: Expr,
    width: int,
) -> None:
    """Shuffle a vector of ``width`` words from ``word`` on, one at a time."""
    with T.serial(width) as i:
        total = None
        for j in range(fmt.codes):
            k = (word + i) * fmt.codes + j
            element = if_then_else(
                k < operands.k,
                cast(operands.x[m, k], "float32", 1),
                const(0, "float32"),
            )
            value = bind(element)
            total = value if total is None else total + value
            scaled = value * const(1 / weight_of_code(fmt, j), "float32")
            T.buffer_store(
                shuffled.values, scaled, [m, word * fmt.codes + j * width + i]
            )
        T.buffer_store(
            shuffled.offsets, total * const(-fmt.zero, "float32"), [m, word + i]
        )
