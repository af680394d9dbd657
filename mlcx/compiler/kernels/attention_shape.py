"""What a block of attention is made of, on any device: its rows and its columns.

A block is the query rows of one or several tokens, of the heads that share a key head.
Each row has a number, its key to the mask; a column names the range of keys that see
it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.rotation import Rotation

__all__ = ["EVER", "Blocks", "Columns", "Heads", "Reach", "Rows", "capped", "scaled"]

EVER = 2**31 - 1
"""Ends a range of numbers that has no end."""


@dataclass(frozen=True)
class Heads:
    """The shape of a layer's attention."""

    num_q_heads: int
    num_kv_heads: int
    head_dim: int
    dtype: str
    """Of queries, keys, values and the output."""
    rotation: Rotation
    """Of queries and keys, for caches that rotate on reading."""
    window: int | None = None
    """Keys that a row sees at most, its own included, in caches that slide."""
    sink: int = 0
    """How many of them are the first ones, which no row loses sight of."""
    layer_window: int | None = None
    """Keys that a row sees at most, its own included, in layers that slide: those whose
    ``sm_scale`` comes negated, see `attention`."""
    softcap: float | None = None
    """Scores s become ``softcap * tanh(s / softcap)``."""

    @property
    def group(self) -> int:
        """Query heads that share a key head."""
        return self.num_q_heads // self.num_kv_heads


@dataclass(frozen=True)
class Rows:
    """Some tokens' query rows of one key head's group."""

    q: tirx.Buffer
    out: tirx.Buffer
    lse: tirx.Buffer
    first: Expr
    """Row of the first token in the three buffers."""
    count: Expr
    """Tokens present, at least 1."""
    head: Expr
    """First query head of each token."""
    key: Callable[[Expr], Expr]
    """Token of the block to the number that `Columns.seen_by` is about."""
    position: Callable[[Expr], Expr]
    """Token of the block to its rotary position."""


@dataclass(frozen=True)
class Columns:
    """The keys and values that a block passes over."""

    end: Expr
    at: Callable[[Expr], Callable[[int, Expr], Expr]]
    """Column to its reader: (0 key or 1 value, dimension) to an element."""
    seen_by: Callable[[Expr], tuple[Expr, Expr]]
    """Column to the half-open range of row keys that see it."""
    position: Expr
    """Rotary position of column 0; the others follow one by one."""
    tree: Expr | None = None
    """First column of a token tree, of which `Heads.layer_window` hides nothing."""


class Blocks(ABC):
    """How a device goes through blocks, each of which is one call of `attend`."""

    heads: Heads
    tokens: int
    """Most tokens of a block."""
    share: int
    """Query heads of a block, a divisor of `Heads.group`."""

    @abstractmethod
    def each(self, count: Expr) -> AbstractContextManager[Expr]:
        """Emit what follows for each block below ``count``, at the same time."""

    @abstractmethod
    def present(self, condition: Expr) -> Expr:
        """Return ``condition``, the same for a whole block, for a branch around it."""

    @abstractmethod
    def attend(
        self, rows: Rows, columns: Columns, sm_scale: Expr, rotate: Expr
    ) -> None:
        """Emit the attention of ``rows``: output, and base-2 log-sum-exp.

        Queries and keys are rotated on reading where ``rotate`` is not 0.
        """


class Reach:
    """How far the rows of a layer see, whose ``sm_scale`` says whether it slides."""

    def __init__(self, window: int, sm_scale: Expr) -> None:
        self._window = window
        self._slides = T.bind(sm_scale < T.float32(0))

    def begin(self, rows: Rows, columns: Columns) -> Expr:
        """Emit the first column that any of the rows sees, or the end."""
        # The rows may be those of several sequences, which share the columns.
        lowest = T.alloc_buffer((1,), "int32", scope="local")
        T.buffer_store(lowest, rows.position(T.int64(0)), [0])
        with T.serial(rows.count - 1) as i:
            T.buffer_store(lowest, T.min(lowest[0], rows.position(i + 1)), [0])
        first = (lowest[0] - columns.position - (self._window - 1)).astype("int64")
        first = T.min(first, columns.end if columns.tree is None else columns.tree)
        return T.bind(T.Select(self._slides, T.max(first, T.int64(0)), T.int64(0)))

    def until(self, columns: Columns, column: Expr) -> Expr:
        """Return the first position from which ``column`` is out of the window."""
        limited = self._slides
        if columns.tree is not None:
            limited = T.And(limited, column < columns.tree)
        end = columns.position + column.astype("int32") + self._window
        return T.Select(limited, end, T.int32(EVER))


def scaled(heads: Heads, sm_scale: Expr) -> Expr:
    """Return what queries are multiplied with, so that `capped` takes products."""
    scale = sm_scale if heads.layer_window is None else T.abs(sm_scale)
    cap = 1 if heads.softcap is None else heads.softcap / 2
    return scale * T.float32(math.log2(math.e) / cap)


def capped(heads: Heads, product: Expr, exp2: Callable[[Expr], Expr]) -> Expr:
    """Return a score in base 2; a tanh is made of 2**(2 log2(e) s / softcap)."""
    if heads.softcap is None:
        return product
    most = T.float32(heads.softcap * math.log2(math.e))
    return most - (most + most) / (exp2(product) + T.float32(1))
