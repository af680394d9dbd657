"""Attention of one block of query rows: the inner part of every attention kernel.

The query heads that share a key head, of one or several tokens, lie side by side as
the lanes of vectors. Columns (keys and values) pass by in tiles that are widened to
float32 once for all lanes; an online softmax (Milakov and Gimelshein,
arXiv:1805.02867) keeps one maximum and one sum a lane. What rows and columns are, and
which rows see which columns, is the caller's business.

The functions here emit statements into the script that calls them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.attention_shape import (
    Columns,
    Reach,
    Rows,
    capped,
    scaled,
)
from mlcx.compiler.kernels.cpu.attention_plan import Plan
from mlcx.compiler.kernels.cpu.exp import exp2
from mlcx.compiler.kernels.cpu.rope import circle, pair
from mlcx.compiler.kernels.limits import LEAST_TOTAL, LOWEST_PEAK, UNSEEN

__all__ = ["attend"]

_TILE = 32
"""Columns in a tile."""


@dataclass(frozen=True)
class _State:
    query: tirx.Buffer
    """(d, rows), scaled so that exponentials are powers of 2."""
    out: tirx.Buffer
    peak: tirx.Buffer
    total: tirx.Buffer
    shrink: tirx.Buffer
    row_key: tirx.Buffer
    key: tirx.Buffer
    value: tirx.Buffer
    score: tirx.Buffer
    start: tirx.Buffer
    stop: tirx.Buffer
    positions: _Positions | None
    """None where no layer slides."""


@dataclass(frozen=True)
class _Positions:
    """What says which rows see how far back, where a layer may slide."""

    reach: Reach
    row: tirx.Buffer
    """(rows,)"""
    until: tirx.Buffer
    """(columns,): the first position of a row that no longer sees the column."""


def attend(
    plan: Plan, rows: Rows, columns: Columns, sm_scale: Expr, rotate: Expr
) -> None:
    """Emit the attention of ``rows`` over ``columns``: output, and base-2 log-sum-exp.

    Queries and keys are rotated on reading where ``rotate`` is not 0.
    """
    state = _allocate(plan, sm_scale)
    _load_rows(plan, rows, state, sm_scale, rotate)
    begin = T.int64(0)
    if state.positions is not None:
        begin = state.positions.reach.begin(rows, columns)
    with T.serial(T.ceildiv(columns.end - begin, T.int64(_TILE))) as tile:
        first = T.bind(begin + tile * _TILE)
        _load_columns(plan, columns, state, first)
        if plan.heads.rotation.half:
            with T.If(rotate != 0), T.Then():
                position = columns.position + first.astype("int32")
                _rotate(plan, state.key, _TILE, position)
        _score(plan, state)
        _softmax(plan, state)
        _accumulate(plan, state)
    _store_rows(plan, rows, state)


def _allocate(plan: Plan, sm_scale: Expr) -> _State:
    d, r = plan.heads.head_dim, plan.rows

    def floats(*shape: int) -> tirx.Buffer:
        return T.alloc_buffer(shape, "float32")

    positions = None
    if plan.heads.layer_window is not None:
        positions = _Positions(
            reach=Reach(plan.heads.layer_window, sm_scale),
            row=T.alloc_buffer((r,), "int32"),
            until=T.alloc_buffer((_TILE,), "int32"),
        )
    return _State(
        query=floats(d, r),
        out=floats(r, d),
        peak=floats(r),
        total=floats(r),
        shrink=floats(r),
        row_key=T.alloc_buffer((r,), "int32"),
        key=floats(_TILE, d),
        value=floats(_TILE, d),
        score=floats(_TILE, r),
        start=T.alloc_buffer((_TILE,), "int32"),
        stop=T.alloc_buffer((_TILE,), "int32"),
        positions=positions,
    )


def _load_rows(
    plan: Plan, rows: Rows, state: _State, sm_scale: Expr, rotate: Expr
) -> None:
    group, d, w = plan.heads.group, plan.heads.head_dim, plan.width
    row = T.alloc_buffer((1, d), "float32")
    scale = T.bind(scaled(plan.heads, sm_scale))
    with T.serial(plan.rows) as r:
        # Lanes without a token repeat the last one; nobody reads what they make.
        token = T.bind(T.min((r // group).astype("int64"), rows.count - 1))
        head = T.bind(rows.head + r % group)
        with T.serial(d // w) as i, T.vectorized(w) as l:
            x = rows.q[rows.first + token, head, i * w + l]
            T.buffer_store(row, x.astype("float32") * scale, [0, i * w + l])
        if plan.heads.rotation.half:
            with T.If(rotate != 0), T.Then():
                _rotate(plan, row, 1, rows.position(token))
        with T.serial(d) as i:
            T.buffer_store(state.query, row[0, i], [i, r])
        T.buffer_store(state.row_key, rows.key(token), [r])
        if state.positions is not None:
            T.buffer_store(state.positions.row, rows.position(token), [r])
        T.buffer_store(state.peak, T.float32(LOWEST_PEAK), [r])
        T.buffer_store(state.total, T.float32(0), [r])
        with T.serial(d // w) as i, T.vectorized(w) as l:
            T.buffer_store(state.out, T.float32(0), [r, i * w + l])


def _load_columns(plan: Plan, columns: Columns, state: _State, first: Expr) -> None:
    d, w = plan.heads.head_dim, plan.width
    count = T.bind(T.min(columns.end - first, T.int64(_TILE)))
    with T.serial(count) as t:
        column = T.bind(first + t)
        read = columns.at(column)
        with T.serial(d // w) as i, T.vectorized(w) as l:
            at = i * w + l
            T.buffer_store(state.key, read(0, at).astype("float32"), [t, at])
            T.buffer_store(state.value, read(1, at).astype("float32"), [t, at])
        start, stop = columns.seen_by(column)
        T.buffer_store(state.start, start, [t])
        T.buffer_store(state.stop, stop, [t])
        if (positions := state.positions) is not None:
            until = positions.reach.until(columns, column)
            T.buffer_store(positions.until, until, [t])
    with T.serial(_TILE - count) as rest:
        # Seen by no row; but a weight of 0 times whatever the memory held may be NaN.
        t = T.bind(count + rest)
        with T.serial(d // w) as i, T.vectorized(w) as l:
            T.buffer_store(state.value, T.float32(0), [t, i * w + l])
        T.buffer_store(state.start, T.int32(0), [t])
        T.buffer_store(state.stop, T.int32(0), [t])


def _rotate(plan: Plan, vectors: tirx.Buffer, count: int, position: Expr) -> None:
    """Rotate ``count`` rows of ``vectors``, at consecutive positions, in place.

    The first angle is computed, the following ones by turning it on: in a tile that
    costs less than 1e-5, and no library call a column.
    """
    rotation = plan.heads.rotation
    half = rotation.half
    w = math.gcd(half, plan.width)
    cosine, sine = circle(position, rotation)
    cosine_1, sine_1 = circle(T.int32(1), replace(rotation, amplitude=1.0))
    with T.serial(count) as t, T.serial(half // w) as i, T.vectorized(w) as l:
        at = i * w + l
        a, b = pair(at, rotation)
        x, y = T.bind(vectors[t, a]), T.bind(vectors[t, b])
        c, s = T.bind(cosine[at]), T.bind(sine[at])
        T.buffer_store(vectors, x * c - y * s, [t, a])
        T.buffer_store(vectors, y * c + x * s, [t, b])
        T.buffer_store(cosine, c * cosine_1[at] - s * sine_1[at], [at])
        T.buffer_store(sine, s * cosine_1[at] + c * sine_1[at], [at])


def _score(plan: Plan, state: _State) -> None:
    """Multiply keys and queries, and hide what must not be seen."""
    lanes, vectors = plan.lanes, plan.rows // plan.lanes
    across = _divisor(vectors, 2)
    down = plan.registers // across
    acc = T.alloc_buffer((down, across, lanes), "float32")
    with T.serial(_TILE // down) as t0, T.serial(vectors // across) as v0:
        with T.unroll(down) as t, T.unroll(across) as v, T.vectorized(lanes) as l:
            T.buffer_store(acc, T.float32(0), [t, v, l])
        with (
            T.serial(plan.heads.head_dim) as i,
            T.unroll(down) as t,
            T.unroll(across) as v,
            T.vectorized(lanes) as l,
        ):
            query = state.query[i, (v0 * across + v) * lanes + l]
            product = state.key[t0 * down + t, i] * query
            T.buffer_store(acc, acc[t, v, l] + product, [t, v, l])
        with T.unroll(down) as t, T.unroll(across) as v, T.vectorized(lanes) as l:
            column, row = t0 * down + t, (v0 * across + v) * lanes + l
            key = state.row_key[row]
            seen = T.And(state.start[column] <= key, key < state.stop[column])
            if (positions := state.positions) is not None:
                seen = T.And(seen, positions.row[row] < positions.until[column])
            score = capped(plan.heads, acc[t, v, l], exp2)
            score = T.Select(seen, score, T.float32(UNSEEN))
            T.buffer_store(state.score, score, [column, row])


def _softmax(plan: Plan, state: _State) -> None:
    """Turn scores into weights relative to the new maximum of each row."""
    lanes = plan.lanes
    peak = T.alloc_buffer((lanes,), "float32")
    total = T.alloc_buffer((lanes,), "float32")
    with T.serial(plan.rows // lanes) as v:
        with T.vectorized(lanes) as l:
            T.buffer_store(peak, state.peak[v * lanes + l], [l])
        with T.serial(_TILE) as t, T.vectorized(lanes) as l:
            T.buffer_store(peak, T.max(peak[l], state.score[t, v * lanes + l]), [l])
        with T.vectorized(lanes) as l:
            row = v * lanes + l
            T.buffer_store(state.shrink, exp2(state.peak[row] - peak[l]), [row])
            T.buffer_store(state.peak, peak[l], [row])
            T.buffer_store(total, state.total[row] * state.shrink[row], [l])
        with T.serial(_TILE) as t, T.vectorized(lanes) as l:
            row = v * lanes + l
            weight = exp2(state.score[t, row] - peak[l])
            T.buffer_store(state.score, weight, [t, row])
            T.buffer_store(total, total[l] + state.score[t, row], [l])
        with T.vectorized(lanes) as l:
            T.buffer_store(state.total, total[l], [v * lanes + l])


def _accumulate(plan: Plan, state: _State) -> None:
    """Shrink the output to the new maximum and add the weighted values."""
    w, vectors = plan.width, plan.heads.head_dim // plan.width
    across = _divisor(vectors, 4)
    down = _divisor(plan.rows, plan.registers // across)
    acc = T.alloc_buffer((down, across, w), "float32")
    with T.serial(plan.rows // down) as r0, T.serial(vectors // across) as v0:
        with T.unroll(down) as r, T.unroll(across) as v, T.vectorized(w) as l:
            row, at = r0 * down + r, (v0 * across + v) * w + l
            T.buffer_store(acc, state.out[row, at] * state.shrink[row], [r, v, l])
        with (
            T.serial(_TILE) as t,
            T.unroll(down) as r,
            T.unroll(across) as v,
            T.vectorized(w) as l,
        ):
            value = state.value[t, (v0 * across + v) * w + l]
            product = state.score[t, r0 * down + r] * value
            T.buffer_store(acc, acc[r, v, l] + product, [r, v, l])
        with T.unroll(down) as r, T.unroll(across) as v, T.vectorized(w) as l:
            row, at = r0 * down + r, (v0 * across + v) * w + l
            T.buffer_store(state.out, acc[r, v, l], [row, at])


def _store_rows(plan: Plan, rows: Rows, state: _State) -> None:
    group, d, w = plan.heads.group, plan.heads.head_dim, plan.width
    with T.serial(rows.count * group) as r:
        token = T.bind(rows.first + r // group)
        head = T.bind(rows.head + r % group)
        total = T.bind(T.max(state.total[r], T.float32(LEAST_TOTAL)))
        share = T.bind(T.float32(1) / total)
        with T.serial(d // w) as i, T.vectorized(w) as l:
            x = state.out[r, i * w + l] * share
            T.buffer_store(
                rows.out, x.astype(plan.heads.dtype), [token, head, i * w + l]
            )
        T.buffer_store(rows.lse, state.peak[r] + T.log2(total), [token, head])


def _divisor(number: int, most: int) -> int:
    """Return the greatest divisor of ``number`` up to ``most``."""
    return next(d for d in range(most, 0, -1) if number % d == 0)
