"""Where a sequence's keys and values lie, and which rows see which of them.

The functions here emit statements into the script that calls them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.attention_shape import EVER, Heads
from mlcx.compiler.kernels.script import array, view

__all__ = ["Mask", "Nodes", "Pages", "Ragged", "Span", "causal_mask", "window_mask"]


@dataclass(frozen=True)
class Span:
    """Keys and values of one sequence."""

    length: Expr
    at: Callable[[Expr, Expr], Callable[[int, Expr], Expr]]
    """(key head, column) to the reader of `Columns.at`."""
    position: Expr
    """Rotary position of the first column."""


@dataclass(frozen=True)
class Mask:
    """Who sees what in one sequence; tokens and columns count from its first."""

    key: Callable[[Expr], Expr]
    """Of a token."""
    seen_by: Callable[[Expr], tuple[Expr, Expr]]
    """Column to the half-open range of keys that see it."""
    end: Callable[[Expr], Expr]
    """Last token of a block to the columns that the block must pass over."""
    tree: Expr | None = None
    """First column of a token tree."""


@dataclass(frozen=True)
class Ragged:
    """Keys and values (u, kv heads, d) of sequences one after the other."""

    k: tirx.Buffer
    v: tirx.Buffer
    indptr: tirx.Buffer
    k_offset: tirx.Buffer | None
    """Rotary position of each sequence's first key; None where nobody asks for it."""

    def of_sequence(self, s: Expr) -> Span:
        """Emit the bounds of sequence ``s``."""
        begin = T.bind(self.indptr[s].astype("int64"))
        length = T.bind(self.indptr[s + 1].astype("int64") - begin)

        def at(head: Expr, column: Expr) -> Callable[[int, Expr], Expr]:
            row = T.bind(begin + column)
            return lambda which, i: (self.k, self.v)[which][row, head, i]

        return Span(length, at, _position(self.k_offset, s))


@dataclass(frozen=True)
class Pages:
    """Keys and values in pages, (pages, 2, kv heads, page size, d)."""

    pages: tirx.Buffer
    indptr: tirx.Buffer
    values: tirx.Buffer
    length_info: tirx.Buffer
    """Of the last page the length in use; if sliding, also window offset and sink."""
    k_offset: tirx.Buffer | None
    page_size: Expr
    sliding: bool

    @classmethod
    def declare(
        cls, heads: Heads, b1: Expr, sliding: bool, positions: bool = True
    ) -> Pages:
        """Declare the five arguments from ``pages`` to ``k_offset``.

        Without ``positions`` the last one is not read: a kernel of WebGPU may read ten.
        """
        page_size, b = T.int64(), T.int64()
        shape = (T.int64(), 2, heads.num_kv_heads, page_size, heads.head_dim)
        pages = array("pages", shape, heads.dtype)
        indptr = view("page_indptr", (b1,), "int32")
        values = view("page_values", (T.int64(),), "int32")
        lengths = view("length_info", (3, b) if sliding else (b,), "int32")
        k_offset = view("k_offset", (b,), "int32")
        asked = k_offset if positions else None
        return cls(pages, indptr, values, lengths, asked, page_size, sliding)

    def of_sequence(self, s: Expr) -> Span:
        """Emit the bounds of sequence ``s``."""
        begin = T.bind(self.indptr[s].astype("int64"))
        count = T.bind(self.indptr[s + 1].astype("int64") - begin)
        offset = sink = T.int64(0)
        last = self.length_info[0, s] if self.sliding else self.length_info[s]
        if self.sliding:
            offset = T.bind(self.length_info[1, s].astype("int64"))
            sink = T.bind(self.length_info[2, s].astype("int64"))
        used = (count - 1) * self.page_size + last.astype("int64") - offset + sink
        length = T.bind(T.Select(count > 0, used, T.int64(0)))

        def at(head: Expr, column: Expr) -> Callable[[int, Expr], Expr]:
            # The window follows the sink, whose pages stay as they were.
            in_window = T.cast(column >= sink, "int64")
            slot = T.bind(column + in_window * (offset - sink))
            page = T.bind(self.values[begin + slot // self.page_size])
            row = T.bind(slot % self.page_size)
            return lambda which, i: self.pages[page, which, head, row, i]

        return Span(length, at, _position(self.k_offset, s))


def _position(k_offset: tirx.Buffer | None, s: Expr) -> Expr:
    return T.int32(0) if k_offset is None else T.bind(k_offset[s])


@dataclass(frozen=True)
class Nodes:
    """Token trees, as the times of entering and leaving a node depth first."""

    indptr: tirx.Buffer
    times: tirx.Buffer

    @classmethod
    def declare(cls, b1: Expr) -> Nodes:
        """Declare the two arguments of a tree mask."""
        indptr = view("tree_indptr", (b1,), "int32")
        return cls(indptr, view("tree", (T.int64(), 2), "int32"))

    def mask(self, s: Expr, rows: Expr, length: Expr) -> Mask:
        """Let rows, the last nodes, see their ancestors and all before the tree."""
        begin = T.bind(self.indptr[s].astype("int64"))
        size = T.bind(self.indptr[s + 1].astype("int64") - begin)
        root = T.bind(length - size)

        def time(node: Expr, which: int, otherwise: int) -> Expr:
            # Not a select: outside of the tree there is nothing to read.
            load = self.times[begin + node, which]
            return T.bind(T.if_then_else(node >= 0, load, T.int32(otherwise)))

        def seen_by(column: Expr) -> tuple[Expr, Expr]:
            node = T.bind(column - root)
            return time(node, 0, 0), time(node, 1, EVER)

        return Mask(
            key=lambda token: time(size - rows + token, 0, 0),
            seen_by=seen_by,
            end=lambda _: length,
            tree=root,
        )


def causal_mask(causal: Expr, rows: Expr, length: Expr) -> Mask:
    """Let a row see the columns up to its own, or all where ``causal`` is 0.

    Rows are the sequence's last ones: the last row sees the last column.
    """

    def key(token: Expr) -> Expr:
        return T.Select(causal != 0, length - rows + token, length - 1)

    return Mask(
        key=lambda token: key(token).astype("int32"),
        seen_by=lambda column: (column.astype("int32"), T.int32(EVER)),
        end=lambda last: T.max(T.int64(0), T.min(length, key(last) + 1)),
    )


def window_mask(
    position: Callable[[Expr], Expr], span: Span, window: int, sink: int
) -> Mask:
    """Let a row see ``window`` positions: the first ``sink`` ones, and the last.

    The cache forgets between two forwards only, and then keeps a whole window: it holds
    columns that the rows of the next forward, one or a whole chunk, must not see.

    Args:
        position: Token to its position in the cache, which keeps no gaps.
        span: The columns.
        window: More than ``sink``.
        sink: 0 or more.
    """

    def seen_by(column: Expr) -> tuple[Expr, Expr]:
        at = span.position + column.astype("int32")
        return at, T.Select(at < sink, T.int32(EVER), at + (window - sink))

    return Mask(position, seen_by, end=lambda _: span.length)
