"""The attention kernels of TVM's paged KV cache, in the runtime's calling conventions.

Queries attend to new keys and values given as ragged arrays, or to those in the pages
of the cache. Rows see the columns up to their own (causal), all columns, or those of
their ancestors in a token tree. Each kernel writes the output and, for merging, the
base-2 logarithm of the sum of exponentials. Threads share (key head, row block) pairs.

The arguments ``rope_scale`` and ``rope_theta`` are those that the cache was created
with; the frequencies they give, scaling included, are compiled in (`Heads.turn`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T
from tvm.target import Target

from mlcx.compiler.kernels.cpu.attention_block import (
    Columns,
    Heads,
    Plan,
    Rows,
    attend,
)
from mlcx.compiler.kernels.cpu.script import array, define, scalar, view

__all__ = ["paged_decode", "paged_prefill", "ragged_prefill"]

_ROWS = 32
"""Query rows that a block of a prefill aims at."""
_EVER = 2**31 - 1


def ragged_prefill(target: Target, heads: Heads, *, tree: bool) -> tirx.PrimFunc:
    """Return the kernel over new keys and values, causal or in a token tree.

    f(q (t, hq, d), q_indptr, k, v (u, hkv, d), kv_indptr, q_positions (t,),
    [k_offset (b,), | tree_indptr, tree (n, 2),] out (t, hq, d), lse (t, hq) float32,
    [causal,] rotary_mode, rope_scale, rope_theta, sm_scale); integers are int32, and
    sequence s is rows indptr[s] to indptr[s + 1].
    """
    plan = _prefill_plan(target, heads)
    hq, hkv, d, dtype = _sizes(heads)

    def emit() -> None:
        t, u, b1 = T.int64(), T.int64(), T.int64()
        q = array("q", (t, hq, d), dtype)
        q_indptr = view("q_indptr", (b1,), "int32")
        k = array("k", (u, hkv, d), dtype)
        v = array("v", (u, hkv, d), dtype)
        kv_indptr = view("kv_indptr", (b1,), "int32")
        q_position = view("q_position", (t,), "int32")
        if tree:
            nodes = _Nodes.declare(b1)
        else:
            k_offset = view("k_offset", (T.int64(),), "int32")
        out = array("out", (t, hq, d), dtype)
        lse = array("lse", (t, hq), "float32")
        causal = T.int32(1) if tree else scalar("causal", "int32")
        rotate, sm_scale = _rotary_arguments()
        queries = _Queries(q, q_indptr, q_position, out, lse)

        def columns(s: Expr) -> _Span:
            begin = T.bind(kv_indptr[s].astype("int64"))
            length = T.bind(kv_indptr[s + 1].astype("int64") - begin)
            base = T.int32(0) if tree else T.bind(k_offset[s])
            return _Span(length, _ragged(k, v, begin), base)

        def mask(s: Expr, length: Expr) -> _Mask:
            if tree:
                return nodes.mask(s, queries.length(s), length)
            return _causal(causal, queries.length(s), length)

        rotate = T.int32(0) if tree else rotate
        _prefill(plan, queries, columns, mask, sm_scale, rotate)

    return define("attention_ragged" + ("_tree" if tree else ""), emit)


def paged_prefill(
    target: Target, heads: Heads, *, sliding: bool = False, tree: bool = False
) -> tirx.PrimFunc:
    """Return the kernel of several rows a sequence over keys and values in pages.

    f(q (t, hq, d), q_indptr, pages (p, 2, hkv, page size, d), page_indptr, page_values,
    length_info, k_offset (b,), q_positions (t,), out (t, hq, d), lse (t, hq) float32,
    [causal,] rotary_mode, rope_scale, rope_theta, sm_scale[, tree_indptr, tree]).
    ``length_info`` is the used length of the last page, (b,), or with ``sliding``
    (3, b): that, the offset where the window begins, and the length of the sink.
    """
    plan = _prefill_plan(target, heads)
    hq, _, d, dtype = _sizes(heads)

    def emit() -> None:
        t, b1 = T.int64(), T.int64()
        q = array("q", (t, hq, d), dtype)
        q_indptr = view("q_indptr", (b1,), "int32")
        pages = _Pages.declare(heads, b1, sliding)
        q_position = view("q_position", (t,), "int32")
        out = array("out", (t, hq, d), dtype)
        lse = array("lse", (t, hq), "float32")
        causal = T.int32(1) if tree else scalar("causal", "int32")
        rotate, sm_scale = _rotary_arguments()
        queries = _Queries(q, q_indptr, q_position, out, lse)
        if tree:
            rotate, nodes = T.int32(0), _Nodes.declare(b1)

        def mask(s: Expr, length: Expr) -> _Mask:
            if tree:
                return nodes.mask(s, queries.length(s), length)
            return _causal(causal, queries.length(s), length)

        _prefill(plan, queries, pages.of_sequence, mask, sm_scale, rotate)

    variant = ("_sliding" if sliding else "") + ("_tree" if tree else "")
    return define("attention_paged" + variant, emit)


def paged_decode(
    target: Target, heads: Heads, *, sliding: bool = False
) -> tirx.PrimFunc:
    """Return the kernel of one row a sequence over keys and values in pages.

    The arguments are those of `paged_prefill` without q_indptr and causal.
    """
    plan = Plan.of(target, heads, 1)
    hq, hkv, d, dtype = _sizes(heads)

    def emit() -> None:
        b, b1 = T.int64(), T.int64()
        q = array("q", (b, hq, d), dtype)
        pages = _Pages.declare(heads, b1, sliding)
        q_position = view("q_position", (b,), "int32")
        out = array("out", (b, hq, d), dtype)
        lse = array("lse", (b, hq), "float32")
        rotate, sm_scale = _rotary_arguments()
        with T.parallel(b * hkv) as item:
            s, head = T.bind(item // hkv), T.bind(item % hkv)
            span = pages.of_sequence(s)
            rows = Rows(
                q,
                out,
                lse,
                first=s,
                count=T.int64(1),
                head=head,
                key=lambda _: T.int32(0),
                position=lambda _: q_position[s],
            )
            columns = Columns(
                end=span.length,
                at=lambda c: span.at(head, c),
                seen_by=lambda _: (T.int32(0), T.int32(1)),
                position=span.position,
            )
            attend(plan, rows, columns, sm_scale, rotate)

    return define("attention_decode" + ("_sliding" if sliding else ""), emit)


@dataclass(frozen=True)
class _Span:
    """Keys and values of one sequence."""

    length: Expr
    at: Callable[[Expr, Expr], Callable[[int, Expr], Expr]]
    """(key head, column) to the reader of `Columns.at`."""
    position: Expr
    """Rotary position of the first column."""


@dataclass(frozen=True)
class _Mask:
    """Who sees what in one sequence; tokens and columns count from its first."""

    key: Callable[[Expr], Expr]
    seen_by: Callable[[Expr], tuple[Expr, Expr]]
    end: Callable[[Expr], Expr]
    """Last token of a block to the columns that the block must pass over."""


@dataclass(frozen=True)
class _Queries:
    q: tirx.Buffer
    indptr: tirx.Buffer
    position: tirx.Buffer
    out: tirx.Buffer
    lse: tirx.Buffer

    def length(self, s: Expr) -> Expr:
        return (self.indptr[s + 1] - self.indptr[s]).astype("int64")

    def block(
        self,
        head: Expr,
        begin: Expr,
        token: Expr,
        plan: Plan,
        key: Callable[[Expr], Expr],
        length: Expr,
    ) -> Rows:
        first = T.bind(begin + token)
        return Rows(
            self.q,
            self.out,
            self.lse,
            first=first,
            count=T.bind(T.min(length - token, T.int64(plan.tokens))),
            head=head,
            key=lambda i: key(token + i),
            position=lambda i: self.position[first + i],
        )


@dataclass(frozen=True)
class _Pages:
    pages: tirx.Buffer
    indptr: tirx.Buffer
    values: tirx.Buffer
    length_info: tirx.Buffer
    k_offset: tirx.Buffer
    page_size: Expr
    sliding: bool

    @classmethod
    def declare(cls, heads: Heads, b1: Expr, sliding: bool) -> _Pages:
        """Declare the five arguments from ``pages`` to ``k_offset``."""
        page_size, b = T.int64(), T.int64()
        shape = (T.int64(), 2, heads.num_kv_heads, page_size, heads.head_dim)
        pages = array("pages", shape, heads.dtype)
        indptr = view("page_indptr", (b1,), "int32")
        values = view("page_values", (T.int64(),), "int32")
        lengths = view("length_info", (3, b) if sliding else (b,), "int32")
        k_offset = view("k_offset", (b,), "int32")
        return cls(pages, indptr, values, lengths, k_offset, page_size, sliding)

    def of_sequence(self, s: Expr) -> _Span:
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

        return _Span(length, at, T.bind(self.k_offset[s]))


@dataclass(frozen=True)
class _Nodes:
    """Token trees, as the times of entering and leaving a node depth first."""

    indptr: tirx.Buffer
    times: tirx.Buffer

    @classmethod
    def declare(cls, b1: Expr) -> _Nodes:
        """Declare the two arguments of a tree mask."""
        indptr = view("tree_indptr", (b1,), "int32")
        return cls(indptr, view("tree", (T.int64(), 2), "int32"))

    def mask(self, s: Expr, rows: Expr, length: Expr) -> _Mask:
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
            return time(node, 0, 0), time(node, 1, _EVER)

        return _Mask(
            key=lambda token: time(size - rows + token, 0, 0),
            seen_by=seen_by,
            end=lambda _: length,
        )


def _causal(causal: Expr, rows: Expr, length: Expr) -> _Mask:
    """Let a row see the columns up to its own, or all where ``causal`` is 0.

    Rows are the sequence's last ones: the last row sees the last column.
    """

    def key(token: Expr) -> Expr:
        return T.Select(causal != 0, length - rows + token, length - 1)

    return _Mask(
        key=lambda token: key(token).astype("int32"),
        seen_by=lambda column: (column.astype("int32"), T.int32(_EVER)),
        end=lambda last: T.max(T.int64(0), T.min(length, key(last) + 1)),
    )


def _prefill(
    plan: Plan,
    queries: _Queries,
    columns_of: Callable[[Expr], _Span],
    mask_of: Callable[[Expr, Expr], _Mask],
    sm_scale: Expr,
    rotate: Expr,
) -> None:
    """Emit the loop over all (key head, block of rows) pairs."""
    sequences = queries.indptr.shape[0] - 1
    most = queries.q.shape[0] // plan.tokens + sequences
    with T.parallel(most * plan.heads.num_kv_heads) as item:
        head, turn = T.bind(item // most), T.bind(item % most)
        # A thread takes consecutive items. Later blocks of a causal sequence are
        # longer, so that blocks alternate between the front and the back.
        back = T.bind(turn % 2 == 1)
        block = T.bind(T.Select(back, most - 1 - turn // 2, turn // 2))
        s, token = _locate(plan, queries, sequences, block)
        with T.If(s < sequences), T.Then():
            span = columns_of(s)
            mask = mask_of(s, span.length)
            begin = T.bind(queries.indptr[s].astype("int64"))
            length = T.bind(queries.length(s))
            rows = queries.block(head, begin, token, plan, mask.key, length)
            columns = Columns(
                end=T.bind(mask.end(token + rows.count - 1)),
                at=lambda c: span.at(head, c),
                seen_by=mask.seen_by,
                position=span.position,
            )
            attend(plan, rows, columns, sm_scale, rotate)


def _locate(
    plan: Plan, queries: _Queries, sequences: Expr, block: Expr
) -> tuple[Expr, Expr]:
    """Return a block's sequence and first token; past the last, an absent sequence."""
    found = T.alloc_buffer((1,), "int64")
    left = T.alloc_buffer((1,), "int64")
    T.buffer_store(found, sequences, [0])
    T.buffer_store(left, block, [0])
    with T.serial(sequences) as s, T.If(found[0] == sequences), T.Then():
        blocks = T.bind(T.ceildiv(queries.length(s), T.int64(plan.tokens)))
        with T.If(left[0] < blocks):
            with T.Then():
                T.buffer_store(found, s, [0])
            with T.Else():
                T.buffer_store(left, left[0] - blocks, [0])
    return T.bind(found[0]), T.bind(left[0] * plan.tokens)


def _ragged(
    k: tirx.Buffer, v: tirx.Buffer, begin: Expr
) -> Callable[[Expr, Expr], Callable[[int, Expr], Expr]]:
    def at(head: Expr, column: Expr) -> Callable[[int, Expr], Expr]:
        row = T.bind(begin + column)
        return lambda which, i: (k, v)[which][row, head, i]

    return at


def _prefill_plan(target: Target, heads: Heads) -> Plan:
    return Plan.of(target, heads, max(1, _ROWS // heads.group))


def _sizes(heads: Heads) -> tuple[int, int, int, str]:
    return heads.num_q_heads, heads.num_kv_heads, heads.head_dim, heads.dtype


def _rotary_arguments() -> tuple[Expr, Expr]:
    """Declare the last four scalars; return whether to rotate, and the scale."""
    rotate = scalar("rotary_mode", "int32")
    scalar("rope_scale", "float32")
    scalar("rope_theta", "float32")
    return rotate, scalar("sm_scale", "float32")
