"""What a block of attention is made of: its rows, its columns, and their division.

A block is the query rows of one or several tokens, of the heads that share a key head.
Each row has a number, its key to the mask; a column names the range of keys that see
it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tvm import tirx
from tvm.ir import Expr
from tvm.target import Target

from mlcx.compiler.kernels.cpu.simd import float32_lanes
from mlcx.compiler.kernels.rotation import Rotation

__all__ = ["EVER", "Columns", "Heads", "Plan", "Rows"]

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


@dataclass(frozen=True)
class Plan:
    """How a block is cut into vectors and registers."""

    heads: Heads
    tokens: int
    rows: int
    """Lanes: ``tokens * group``, rounded up to whole vectors."""
    lanes: int
    """Of a vector over rows."""
    width: int
    """Of a vector over dimensions."""
    registers: int
    """Accumulators that a tile of a product may take."""

    @classmethod
    def of(cls, target: Target, heads: Heads, tokens: int) -> Plan:
        """Plan blocks of at most ``tokens`` tokens."""
        native = float32_lanes(target)
        wanted = tokens * heads.group
        lanes = min(native, 1 << (wanted - 1).bit_length())
        rows = -(-wanted // lanes) * lanes
        width = math.gcd(heads.head_dim, native)
        return cls(heads, tokens, rows, lanes, width, 16 if native == 16 else 8)
