"""Attention of one block of query rows on the GPU, by one block of threads.

The rows are kept in shared memory. Columns (keys and values) pass by in tiles of one
for each thread, which multiplies its key with all rows. An online softmax (Milakov and
Gimelshein, arXiv:1805.02867) keeps a maximum and a sum of each row. For the output a
thread has one dimension of all rows and, where heads are narrower than the block, a
part of a tile's columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.attention_shape import (
    Blocks,
    Columns,
    Heads,
    Reach,
    Rows,
    capped,
    scaled,
)
from mlcx.compiler.kernels.gpu.attention_rotation import lawful
from mlcx.compiler.kernels.gpu.launch import THREADS, Block, block, meet
from mlcx.compiler.kernels.gpu.rotated import rotated
from mlcx.compiler.kernels.limits import LEAST_TOTAL, LOWEST_PEAK, UNSEEN

__all__ = ["BlocksOfThreads"]

_SHARED = 15 * 1024
"""Bytes of shared memory to make use of; WebGPU promises 16 KiB."""
_MOST = 8
"""Rows of a block: each takes registers of every thread."""
_HIGHEST = 120.0
"""Exponent of 2 from which a soft cap is reached; far more would overflow."""


class BlocksOfThreads(Blocks):
    """Blocks of attention, each of which is one of threads.

    Args:
        heads: Of the layers.
        decodes: Whether blocks are of one token; else they are of several.
    """

    def __init__(self, heads: Heads, *, decodes: bool) -> None:
        most = min(_MOST, _SHARED // (4 * (heads.head_dim + THREADS)))
        self.heads = heads
        self.share = max(n for n in range(1, most + 1) if heads.group % n == 0)
        self.tokens = 1 if decodes else most // self.share
        self._here: Block | None = None

    @contextmanager
    def each(self, count: Expr) -> Iterator[Expr]:
        """Emit a block of threads for each block."""
        with block(count) as here:
            self._here = here
            yield here.at[0]
        self._here = None

    def present(self, condition: Expr) -> Expr:
        """Return ``condition``, marked so that threads can meet behind it."""
        return T.tvm_thread_invariant(condition)

    def attend(
        self, rows: Rows, columns: Columns, sm_scale: Expr, rotate: Expr
    ) -> None:
        """Emit the attention of ``rows``; see `Blocks`."""
        assert self._here is not None
        _Attention(self, self._here, rows, columns, sm_scale, rotate).emit()


@dataclass(frozen=True)
class _Shared:
    """What the threads of a block have in common."""

    query: tirx.Buffer
    """(rows, d), scaled so that exponentials are powers of 2."""
    score: tirx.Buffer
    """(rows, THREADS): scores, weights, at the end parts of the output."""
    part: tirx.Buffer
    """(THREADS,): of a maximum or a sum."""
    peak: tirx.Buffer
    total: tirx.Buffer
    shrink: tirx.Buffer
    key: tirx.Buffer
    position: tirx.Buffer

    @classmethod
    def of(cls, rows: int, d: int) -> _Shared:
        def floats(*shape: int) -> tirx.Buffer:
            return T.alloc_buffer(shape, "float32", scope="shared")

        def ints() -> tirx.Buffer:
            return T.alloc_buffer((rows,), "int32", scope="shared")

        return cls(
            query=floats(rows, d),
            score=floats(rows, THREADS),
            part=floats(THREADS),
            peak=floats(rows),
            total=floats(rows),
            shrink=floats(rows),
            key=ints(),
            position=ints(),
        )


class _Attention:
    """The parts of the kernel, in the order in which `emit` emits them."""

    def __init__(
        self,
        blocks: BlocksOfThreads,
        here: Block,
        rows: Rows,
        columns: Columns,
        sm_scale: Expr,
        rotate: Expr,
    ) -> None:
        self.heads, self.share = blocks.heads, blocks.share
        self.rows, self.columns = rows, columns
        self.here, self.thread = here, T.bind(T.Cast("int64", here.thread))
        self.sm_scale, self.rotate = sm_scale, rotate
        self.count = blocks.tokens * blocks.share
        """Rows."""
        d = self.heads.head_dim
        self.lanes = min(THREADS, 1 << (d - 1).bit_length())
        """Threads side by side on the dimensions of the output."""
        self.turns = -(-d // self.lanes)
        """Dimensions of a thread."""
        self.splits = THREADS // self.lanes
        self.shared = _Shared.of(self.count, d)
        self.out = T.alloc_buffer((self.turns, self.count), "float32", scope="local")
        window = self.heads.layer_window
        self.reach = None if window is None else Reach(window, sm_scale)

    def emit(self) -> None:
        self._load()
        begin = T.int64(0)
        if self.reach is not None:
            begin = self.reach.begin(self.rows, self.columns)
        meet()
        tiles = T.ceildiv(self.columns.end - begin, T.int64(THREADS))
        with T.serial(tiles) as tile:
            first = T.bind(begin + tile * THREADS)
            self._score(first)
            meet()
            self._softmax()
            self._accumulate(first)
            meet()
        self._store()

    def _load(self) -> None:
        shared, rows = self.shared, self.rows
        scale = T.bind(scaled(self.heads, self.sm_scale))
        for turn in range(self.turns):
            for row in range(self.count):
                T.buffer_store(self.out, T.float32(0), [turn, row])

        def element(i: Expr) -> None:
            row, at = T.bind(i // self.heads.head_dim), T.bind(i % self.heads.head_dim)
            token = T.bind(self._token(row))
            head = T.bind(rows.head + row % self.share)

            def read(n: Expr) -> Expr:
                return rows.q[rows.first + token, head, n].astype("float32")

            def put(value: Expr) -> None:
                T.buffer_store(shared.query, value * scale, [row, at])

            self._rotated_or_not(
                lambda: put(read(at)),
                lambda: put(self._turned(read, at, rows.position(token))),
            )

        self.here.strided(self.count * self.heads.head_dim, element)
        with T.If(self.thread < self.count), T.Then():
            token = T.bind(self._token(self.thread))
            T.buffer_store(shared.key, rows.key(token), [self.thread])
            if self.reach is not None:
                T.buffer_store(shared.position, rows.position(token), [self.thread])
            T.buffer_store(shared.peak, T.float32(LOWEST_PEAK), [self.thread])
            T.buffer_store(shared.total, T.float32(0), [self.thread])

    def _token(self, row: Expr) -> Expr:
        """Return a row's token; rows without one repeat the last, unstored."""
        return T.min(row // self.share, self.rows.count - 1)

    def _turned(self, read: Callable[[Expr], Expr], at: Expr, position: Expr) -> Expr:
        rotation = self.heads.rotation
        return rotated(read, at, position, rotation, lawful(rotation))

    def _rotated_or_not(
        self, plain: Callable[[], None], turned: Callable[[], None]
    ) -> None:
        if not self.heads.rotation.half or isinstance(self.rotate, tirx.IntImm):
            plain()
            return
        with T.If(self.rotate != 0):
            with T.Then():
                turned()
            with T.Else():
                plain()

    def _score(self, first: Expr) -> None:
        """Multiply this thread's key with all rows, and hide it from some."""
        columns, shared = self.columns, self.shared
        product = T.alloc_buffer((self.count,), "float32", scope="local")
        for row in range(self.count):
            T.buffer_store(product, T.float32(0), [row])
        # Threads beyond the last column repeat it; nobody sees what they make.
        here = T.bind(first + self.thread)
        column = T.bind(T.min(here, columns.end - 1))
        read = columns.at(column)

        def key(n: Expr) -> Expr:
            return read(0, n).astype("float32")

        position = T.bind(columns.position + column.astype("int32"))

        def multiply(element: Callable[[Expr], Expr]) -> None:
            with T.serial(self.heads.head_dim) as i:
                value = T.bind(element(i))
                for row in range(self.count):
                    more = product[row] + shared.query[row, i] * value
                    T.buffer_store(product, more, [row])

        self._rotated_or_not(
            lambda: multiply(key),
            lambda: multiply(lambda i: self._turned(key, i, position)),
        )
        start, stop = columns.seen_by(column)
        start, stop = T.bind(start), T.bind(stop)
        until = None if self.reach is None else self.reach.until(columns, column)
        until = None if until is None else T.bind(until)
        for row in range(self.count):
            key_of_row = shared.key[row]
            seen = T.And(here < columns.end, start <= key_of_row)
            seen = T.And(seen, key_of_row < stop)
            if until is not None:
                seen = T.And(seen, shared.position[row] < until)
            score = capped(self.heads, product[row], _exp2)
            score = T.Select(seen, score, T.float32(UNSEEN))
            T.buffer_store(shared.score, score, [row, self.thread])

    def _softmax(self) -> None:
        """Turn scores into weights relative to the new maximum of each row."""
        shared, t = self.shared, self.thread
        side = THREADS >> (self.count - 1).bit_length()
        row, lane = T.bind(t // side), T.bind(t % side)
        mine = T.bind(row < self.count)
        peak = self.here.local("float32", T.float32(LOWEST_PEAK))
        total = self.here.local("float32", T.float32(0))
        weight = T.alloc_buffer((THREADS // side,), "float32", scope="local")

        def own(emit: Callable[[Expr, Expr], None]) -> None:
            with T.If(mine), T.Then(), T.serial(THREADS // side) as i:
                emit(i, T.bind(i * side + lane))

        def higher(_: Expr, c: Expr) -> None:
            T.buffer_store(peak, T.max(peak[0], shared.score[row, c]), [0])

        def weigh(i: Expr, c: Expr) -> None:
            value = T.bind(T.exp2(shared.score[row, c] - peak[0]))
            T.buffer_store(weight, value, [i])
            T.buffer_store(total, total[0] + value, [0])

        def put(i: Expr, c: Expr) -> None:
            T.buffer_store(shared.score, weight[i], [row, c])

        own(higher)
        T.buffer_store(shared.part, peak[0], [t])
        meet()
        with T.If(mine), T.Then():
            T.buffer_store(peak, T.max(peak[0], shared.peak[row]), [0])
            with T.serial(side) as i:
                other = shared.part[row * side + i]
                T.buffer_store(peak, T.max(peak[0], other), [0])
        own(weigh)
        meet()
        own(put)
        T.buffer_store(shared.part, total[0], [t])
        meet()
        first = T.bind(T.And(mine, lane == 0))
        shrink = self.here.local("float32", T.float32(0))
        with T.If(first), T.Then():
            T.buffer_store(shrink, T.exp2(shared.peak[row] - peak[0]), [0])
            T.buffer_store(total, shared.total[row] * shrink[0], [0])
            with T.serial(side) as i:
                T.buffer_store(total, total[0] + shared.part[t + i], [0])
        # What is written may only be read behind the next meeting.
        meet()
        with T.If(first), T.Then():
            T.buffer_store(shared.shrink, shrink[0], [row])
            T.buffer_store(shared.peak, peak[0], [row])
            T.buffer_store(shared.total, total[0], [row])
        meet()

    def _accumulate(self, first: Expr) -> None:
        """Shrink the output to the new maximum and add the weighted values."""
        shared, d = self.shared, self.heads.head_dim
        lane, split = (
            T.bind(self.thread % self.lanes),
            T.bind(self.thread // self.lanes),
        )
        for turn in range(self.turns):
            for row in range(self.count):
                shrunk = self.out[turn, row] * shared.shrink[row]
                T.buffer_store(self.out, shrunk, [turn, row])
        with T.serial(THREADS // self.splits) as i:
            place = T.bind(i * self.splits + split)
            with T.If(first + place < self.columns.end), T.Then():
                read = self.columns.at(T.bind(first + place))
                for turn in range(self.turns):
                    at = T.bind(lane + turn * self.lanes)
                    with T.If(at < d), T.Then():
                        value = T.bind(read(1, at).astype("float32"))
                        for row in range(self.count):
                            more = shared.score[row, place] * value
                            more = self.out[turn, row] + more
                            T.buffer_store(self.out, more, [turn, row])

    def _store(self) -> None:
        """Add what the threads of one dimension have, and divide by the row's sum."""
        shared, rows, d = self.shared, self.rows, self.heads.head_dim
        for turn in range(self.turns):
            for row in range(self.count):
                value = self.out[turn, row]
                T.buffer_store(shared.score, value, [row, self.thread])
            meet()

            def element(i: Expr, turn: int = turn) -> None:
                row, lane = T.bind(i // self.lanes), T.bind(i % self.lanes)
                at = T.bind(lane + turn * self.lanes)
                present = T.And(row // self.share < rows.count, at < d)
                with T.If(present), T.Then():
                    value = self.here.local("float32", T.float32(0))
                    with T.serial(self.splits) as split:
                        part = shared.score[row, split * self.lanes + lane]
                        T.buffer_store(value, value[0] + part, [0])
                    value = value[0] / self._sum(row)
                    where = [rows.first + row // self.share, self._head(row), at]
                    T.buffer_store(rows.out, value.astype(self.heads.dtype), where)

            self.here.strided(self.count * self.lanes, element)
            meet()
        with T.If(self.thread < rows.count * self.share), T.Then():
            row = self.thread
            lse = shared.peak[row] + T.log2(self._sum(row))
            where = [rows.first + row // self.share, self._head(row)]
            T.buffer_store(rows.lse, lse, where)

    def _head(self, row: Expr) -> Expr:
        return self.rows.head + row % self.share

    def _sum(self, row: Expr) -> Expr:
        return T.max(self.shared.total[row], T.float32(LEAST_TOTAL))


def _exp2(x: Expr) -> Expr:
    return T.exp2(T.min(x, T.float32(_HIGHEST)))
