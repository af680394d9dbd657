"""The attention kernels of TVM's paged KV cache, in the runtime's calling conventions.

Queries attend to new keys and values given as ragged arrays, or to those in the pages
of the cache. Rows see the columns up to their own (causal), all columns, or those of
their ancestors in a token tree. Each kernel writes the output and, for merging, the
base-2 logarithm of the sum of exponentials. The device says who does which
block of rows of a head, and how (`Blocks`).

The arguments ``rope_scale`` and ``rope_theta`` are those that the cache was created
with; the frequencies they give, scaling included, are compiled in (`Heads.turn`).

Of a layer, the runtime tells a kernel nothing but ``sm_scale``, and only its magnitude
is the scale: a layer that sees no more than `Heads.layer_window` gives it negated. That
holds in every kernel, whatever the runtime knows of windows. A token tree is taken to
be no deeper than the window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.attention_keys import (
    Mask,
    Nodes,
    Pages,
    Ragged,
    Span,
    causal_mask,
    window_mask,
)
from mlcx.compiler.kernels.attention_shape import Blocks, Columns, Heads, Rows
from mlcx.compiler.kernels.script import array, define, scalar, view

__all__ = ["paged_decode", "paged_prefill", "ragged_prefill"]


def ragged_prefill(blocks: Blocks, *, tree: bool) -> tirx.PrimFunc:
    """Return the kernel over new keys and values, causal or in a token tree.

    f(q (t, hq, d), q_indptr, k, v (u, hkv, d), kv_indptr, q_positions (t,),
    [k_offset (b,), | tree_indptr, tree (n, 2),] out (t, hq, d), lse (t, hq) float32,
    [causal,] rotary_mode, rope_scale, rope_theta, sm_scale); integers are int32, and
    sequence s is rows indptr[s] to indptr[s + 1].
    """
    heads = blocks.heads

    def emit() -> None:
        t, u, b1 = T.int64(), T.int64(), T.int64()
        q = array("q", _query_shape(t, heads), heads.dtype)
        q_indptr = view("q_indptr", (b1,), "int32")
        kv_shape = (u, heads.num_kv_heads, heads.head_dim)
        k, v = (array(name, kv_shape, heads.dtype) for name in ("k", "v"))
        kv_indptr = view("kv_indptr", (b1,), "int32")
        position = view("q_position", (t,), "int32")
        nodes = Nodes.declare(b1) if tree else None
        k_offset = None if tree else view("k_offset", (T.int64(),), "int32")
        out, lse = _outputs(t, heads)
        causal = None if tree else scalar("causal", "int32")
        rotate, sm_scale = _rotary_arguments()
        queries = _Queries(q, q_indptr, position, out, lse)
        keys = Ragged(k, v, kv_indptr, k_offset)
        rotate = T.int32(0) if tree else rotate
        _prefill(blocks, queries, keys, nodes, causal, sm_scale, rotate)

    return define("attention_ragged" + ("_tree" if tree else ""), emit)


def paged_prefill(
    blocks: Blocks, *, sliding: bool = False, tree: bool = False
) -> tirx.PrimFunc:
    """Return the kernel of several rows a sequence over keys and values in pages.

    f(q (t, hq, d), q_indptr, pages (p, 2, hkv, page size, d), page_indptr, page_values,
    length_info, k_offset (b,), q_positions (t,), out (t, hq, d), lse (t, hq) float32,
    [causal,] rotary_mode, rope_scale, rope_theta, sm_scale[, tree_indptr, tree]).
    ``length_info`` is the used length of the last page, (b,), or with ``sliding``
    (3, b): that, the offset where the window begins, and the length of the sink; then
    rows see no more than ``heads.window``, if that is set.
    """
    heads = blocks.heads

    def emit() -> None:
        t, b1 = T.int64(), T.int64()
        q = array("q", _query_shape(t, heads), heads.dtype)
        q_indptr = view("q_indptr", (b1,), "int32")
        # In a tree nothing is rotated.
        positions = not tree or heads.layer_window is not None
        keys = Pages.declare(heads, b1, sliding, positions)
        position = view("q_position", (t,), "int32")
        out, lse = _outputs(t, heads)
        causal = None if tree else scalar("causal", "int32")
        rotate, sm_scale = _rotary_arguments()
        nodes = Nodes.declare(b1) if tree else None
        queries = _Queries(q, q_indptr, position, out, lse)
        rotate = T.int32(0) if tree else rotate
        _prefill(blocks, queries, keys, nodes, causal, sm_scale, rotate)

    variant = ("_sliding" if sliding else "") + ("_tree" if tree else "")
    return define("attention_paged" + variant, emit)


def paged_decode(blocks: Blocks, *, sliding: bool = False) -> tirx.PrimFunc:
    """Return the kernel of one row a sequence over keys and values in pages.

    The arguments are those of `paged_prefill` without q_indptr and causal; the blocks
    are of one token.
    """
    heads = blocks.heads

    def emit() -> None:
        b, b1 = T.int64(), T.int64()
        q = array("q", _query_shape(b, heads), heads.dtype)
        keys = Pages.declare(heads, b1, sliding)
        position = view("q_position", (b,), "int32")
        out, lse = _outputs(b, heads)
        rotate, sm_scale = _rotary_arguments()
        parts = heads.num_q_heads // blocks.share
        with blocks.each(b * parts) as item:
            s = T.bind(item // parts)
            head, key_head = _heads(blocks, item % parts)
            span = keys.of_sequence(s)
            mask = _decode_mask(heads, sliding, span, position[s])
            rows = Rows(
                q,
                out,
                lse,
                first=s,
                count=T.int64(1),
                head=head,
                key=mask.key,
                position=lambda _: position[s],
            )
            columns = Columns(
                end=span.length,
                at=lambda column: span.at(key_head, column),
                seen_by=mask.seen_by,
                position=span.position,
            )
            blocks.attend(rows, columns, sm_scale, rotate)

    return define("attention_decode" + ("_sliding" if sliding else ""), emit)


def _decode_mask(heads: Heads, sliding: bool, span: Span, position: Expr) -> Mask:
    if heads.window and sliding:
        return window_mask(lambda _: position, span, heads.window, heads.sink)
    return Mask(
        key=lambda _: T.int32(0),
        seen_by=lambda _: (T.int32(0), T.int32(1)),
        end=lambda _: span.length,
    )


@dataclass(frozen=True)
class _Queries:
    """Queries of sequences one after the other, and the place of their results."""

    q: tirx.Buffer
    indptr: tirx.Buffer
    position: tirx.Buffer
    out: tirx.Buffer
    lse: tirx.Buffer

    def rows(
        self, blocks: Blocks, head: Expr, s: Expr, token: Expr, mask: Mask
    ) -> Rows:
        """Emit the block of sequence ``s`` that begins at ``token``."""
        begin = self.indptr[s].astype("int64")
        first = T.bind(begin + token)
        left = self.indptr[s + 1].astype("int64") - first
        return Rows(
            self.q,
            self.out,
            self.lse,
            first=first,
            count=T.bind(T.min(left, T.int64(blocks.tokens))),
            head=head,
            key=lambda i: mask.key(token + i),
            position=lambda i: self.position[first + i],
        )

    def positions(self, s: Expr) -> Callable[[Expr], Expr]:
        begin = T.bind(self.indptr[s].astype("int64"))
        return lambda token: self.position[begin + token]

    def length(self, s: Expr) -> Expr:
        return (self.indptr[s + 1] - self.indptr[s]).astype("int64")


def _prefill(
    blocks: Blocks,
    queries: _Queries,
    keys: Ragged | Pages,
    nodes: Nodes | None,
    causal: Expr | None,
    sm_scale: Expr,
    rotate: Expr,
) -> None:
    """Emit the loop over all pairs of a key head and a block of rows.

    The mask is that of ``nodes`` or, without, of the flag ``causal``.
    """
    heads = blocks.heads
    sequences = queries.indptr.shape[0] - 1
    most = queries.q.shape[0] // blocks.tokens + sequences
    with blocks.each(most * (heads.num_q_heads // blocks.share)) as item:
        head, key_head = _heads(blocks, item // most)
        turn = T.bind(item % most)
        # A thread takes consecutive items. Later blocks of a causal sequence are
        # longer, so that blocks alternate between the front and the back.
        back = T.bind(turn % 2 == 1)
        block = T.bind(T.Select(back, most - 1 - turn // 2, turn // 2))
        s, token = _locate(blocks, queries, sequences, block)
        with T.If(blocks.present(s < sequences)), T.Then():
            span = keys.of_sequence(s)
            length = T.bind(queries.length(s))
            if nodes is not None:
                mask = nodes.mask(s, length, span.length)
            elif heads.window and isinstance(keys, Pages) and keys.sliding:
                at = queries.positions(s)
                mask = window_mask(at, span, heads.window, heads.sink)
            else:
                mask = causal_mask(causal, length, span.length)
            rows = queries.rows(blocks, head, s, token, mask)
            columns = Columns(
                end=T.bind(mask.end(token + rows.count - 1)),
                at=lambda column: span.at(key_head, column),
                seen_by=mask.seen_by,
                position=span.position,
                tree=mask.tree,
            )
            blocks.attend(rows, columns, sm_scale, rotate)


def _locate(
    blocks: Blocks, queries: _Queries, sequences: Expr, block: Expr
) -> tuple[Expr, Expr]:
    """Emit a block's sequence and first token; past the last, an absent sequence."""
    found = T.alloc_buffer((1,), "int32", scope="local")
    left = T.alloc_buffer((1,), "int32", scope="local")
    T.buffer_store(found, sequences.astype("int32"), [0])
    T.buffer_store(left, block.astype("int32"), [0])
    with (
        T.serial(sequences) as s,
        T.If(found[0] == sequences.astype("int32")),
        T.Then(),
    ):
        count = T.bind(
            T.ceildiv(queries.length(s), T.int64(blocks.tokens)).astype("int32")
        )
        with T.If(left[0] < count):
            with T.Then():
                T.buffer_store(found, s.astype("int32"), [0])
            with T.Else():
                T.buffer_store(left, left[0] - count, [0])
    return (
        T.bind(found[0].astype("int64")),
        T.bind(left[0].astype("int64") * blocks.tokens),
    )


def _heads(blocks: Blocks, part: Expr) -> tuple[Expr, Expr]:
    """Emit the first query head of a ``part``, and the key head that it attends to."""
    first = T.bind(part * blocks.share)
    return first, T.bind(first // blocks.heads.group)


def _query_shape(tokens: Expr, heads: Heads) -> tuple[Expr, int, int]:
    return tokens, heads.num_q_heads, heads.head_dim


def _outputs(tokens: Expr, heads: Heads) -> tuple[tirx.Buffer, tirx.Buffer]:
    """Declare the two arguments that results go to."""
    out = array("out", _query_shape(tokens, heads), heads.dtype)
    return out, array("lse", (tokens, heads.num_q_heads), "float32")


def _rotary_arguments() -> tuple[Expr, Expr]:
    """Declare the last four scalars; return whether to rotate, and the scale."""
    rotate = scalar("rotary_mode", "int32")
    scalar("rope_scale", "float32")
    scalar("rope_theta", "float32")
    return rotate, scalar("sm_scale", "float32")
