"""Products with the weights of those experts that tokens were sent to.

See ``nn/moe.py`` for what pairs are. The pairs of an expert are the rows of a matmul of
its own, which lie where the order says. Experts with few rows are shared among all
threads in one go, so that a single token reads no other weights and starts the threads
once; experts with many are multiplied one after the other, as linear layers are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tvm.ir import Expr
from tvm.script import tirx as T
from tvm.target import Target
from tvm.tirx import Buffer, PrimFunc, truncdiv

from mlcx.compiler.kernels.cpu.dot import Dot, dot_for
from mlcx.compiler.kernels.cpu.gemm import gemm
from mlcx.compiler.kernels.cpu.matmul import FEW_ROWS, lanes_of
from mlcx.compiler.kernels.cpu.operands import Operands
from mlcx.compiler.kernels.cpu.vectors import flat
from mlcx.compiler.kernels.cpu.weights import WeightFormat, WordsOfColumns
from mlcx.compiler.kernels.script import array, define

__all__ = ["Pairs", "experts_matmul"]

_STREAMS = 4
_PRODUCTS = 8
"""Pairs of rows worked on at a time: each takes two of 32 registers."""


@dataclass(frozen=True)
class Pairs:
    """How many pairs there may be."""

    tokens: int | None
    """None: any number."""
    chosen: int
    """Experts of a token."""
    experts: int
    spread: bool
    """All pairs of a token share a row of x."""


def experts_matmul(
    target: Target,
    fmt: WeightFormat,
    pairs: Pairs,
    n: int,
    k: int,
    dtypes: tuple[str, str],
) -> PrimFunc:
    """Return f(order, starts, x, weights, out) for ``call_tir``.

    ``order`` (t, k) and ``starts`` (E + 1,) are those of ``moe_routing``, x is (t, K)
    or (t * k, K), weights are (E, ...), each as those of ``matmul``, but for a scale
    that all share; out is (t * k, N). ``dtypes`` are those of x and out.
    """

    def emit() -> None:
        t = T.int64() if pairs.tokens is None else pairs.tokens
        order = array("order", (t, pairs.chosen), "int32")
        starts = array("starts", (pairs.experts + 1,), "int32")
        rows = t if pairs.spread else t * pairs.chosen
        x = array("x", (rows, k), dtypes[0])
        weights = _weights(fmt, pairs.experts, n, k)
        out = array("out", (t * pairs.chosen, n), dtypes[1])
        lanes = lanes_of(target, fmt)
        operands = Operands(lanes, fmt, rows, n, k, x, weights, out, dtypes[1])
        product = _Product(pairs, operands, flat(order), starts)
        few, count = product.few()
        with T.If(count > 0), T.Then():
            product.multiply_few(few, count)
        if pairs.tokens is None or pairs.tokens > FEW_ROWS:
            product.multiply_many()

    return define("moe_experts", emit)


def _weights(fmt: WeightFormat, experts: int, n: int, k: int) -> tuple[Buffer, ...]:
    assert not isinstance(fmt, WordsOfColumns), "no experts are stored so"
    return tuple(
        array(name, (experts, *shape) if len(shape) > 1 else shape, dtype)
        for name, (shape, dtype) in fmt.arrays(n, k).items()
    )


@dataclass(frozen=True)
class _Product:
    """The products of all experts; ``operands`` has all rows of x, and all weights."""

    pairs: Pairs
    operands: Operands
    order: Buffer
    starts: Buffer

    def few(self) -> tuple[Buffer, Expr]:
        """Return the experts with a row, but no more than ``FEW_ROWS``; how many."""
        few = T.alloc_buffer((self.pairs.experts,), "int32")
        count = T.alloc_buffer((1,), "int64")
        T.buffer_store(count, T.int64(0), [0])
        with T.serial(self.pairs.experts) as e:
            rows = T.bind(self._rows(e))
            with T.If(T.And(rows > 0, rows <= FEW_ROWS)), T.Then():
                T.buffer_store(few, e.astype("int32"), [count[0]])
                T.buffer_store(count, count[0] + 1, [0])
        return few, T.bind(count[0])

    def multiply_few(self, few: Buffer, count: Expr) -> None:
        """Write the rows of ``count`` experts."""
        dot = dot_for(self.operands)
        length = -(-self.operands.n // _STREAMS)
        with T.parallel(count * length) as task:
            expert = T.bind(few[task // length].astype("int64"))
            own = self._of(expert, T.bind(self._rows(expert)))
            streams = _Streams(replace(dot, operands=own), length, task % length)
            if self.pairs.tokens == 1:
                streams.write_one()
                return
            with T.If(own.rows == 1):
                with T.Then():
                    streams.write_one()
                with T.Else(), T.If(own.rows == 2):
                    with T.Then():
                        streams.write_all(2)
                    with T.Else():
                        streams.write_all(4)

    def multiply_many(self) -> None:
        """Write the rows of the other experts."""
        with T.serial(self.pairs.experts) as expert:
            rows = T.bind(self._rows(expert))
            with T.If(rows > FEW_ROWS), T.Then():
                gemm(self._of(expert, rows))

    def _rows(self, expert: Expr) -> Expr:
        return (self.starts[expert + 1] - self.starts[expert]).astype("int64")

    def _of(self, expert: Expr, rows: Expr) -> Operands:
        """Return the operands of one expert."""
        first = T.bind(self.starts[expert].astype("int64"))
        spread = self.pairs.chosen if self.pairs.spread else 1

        def pair(m: Expr | int) -> Expr:
            return self.order[first + m].astype("int64")

        return replace(
            self.operands,
            rows=rows,
            most_rows=self.order.shape[0] // self.pairs.chosen,
            weights=tuple(_part(weight, expert) for weight in self.operands.weights),
            x_row=lambda m: truncdiv(pair(m), spread),
            out_row=pair,
        )


def _part(stack: Buffer, index: Expr) -> Buffer:
    """Return a view of one of the matrices in ``stack``; what all share, as it is."""
    if len(stack.shape) == 1:
        return stack
    _, rows, columns = stack.shape
    start = index * (rows * columns)
    shape, dtype = (rows, columns), stack.ty.dtype
    return T.decl_buffer(shape, dtype, data=stack.data, elem_offset=start)


@dataclass(frozen=True)
class _Streams:
    """One weight row of each of several streams: far apart, as ``stream_rows`` says."""

    dot: Dot
    length: int
    place: Expr
    """Of the rows in their streams."""

    def write_one(self) -> None:
        """Write out at the weight rows, if it has one row."""
        self.dot.write([self._n(s) for s in range(_STREAMS)], [0])

    def write_all(self, block: int) -> None:
        """Write all rows of out at the weight rows, ``block`` at a time."""
        rows, width = self.dot.operands.rows, min(_STREAMS, _PRODUCTS // block)
        blocks = (rows + block - 1) // block
        with T.serial(_STREAMS // width) as first, T.serial(blocks) as b:
            ns = [self._n(first * width + s) for s in range(width)]
            self.dot.write(ns, [T.min(b * block + r, rows - 1) for r in range(block)])

    def _n(self, stream: Expr | int) -> Expr:
        last = self.dot.operands.n - 1
        return T.bind(T.min(self.place + stream * self.length, last))
