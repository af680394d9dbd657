"""The attention kernels of a paged KV cache on the CPU; threads share the blocks."""

from __future__ import annotations

from contextlib import AbstractContextManager

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T
from tvm.target import Target

from mlcx.compiler.kernels import attention
from mlcx.compiler.kernels.attention_shape import Blocks, Columns, Heads, Rows
from mlcx.compiler.kernels.cpu.attention_block import attend
from mlcx.compiler.kernels.cpu.attention_plan import Plan

__all__ = ["paged_decode", "paged_prefill", "ragged_prefill"]

_ROWS = 32
"""Query rows that a block of a prefill aims at."""


def ragged_prefill(target: Target, heads: Heads, *, tree: bool) -> tirx.PrimFunc:
    """Return `attention.ragged_prefill` for the CPU."""
    return attention.ragged_prefill(_prefill(target, heads), tree=tree)


def paged_prefill(
    target: Target, heads: Heads, *, sliding: bool = False, tree: bool = False
) -> tirx.PrimFunc:
    """Return `attention.paged_prefill` for the CPU."""
    blocks = _prefill(target, heads)
    return attention.paged_prefill(blocks, sliding=sliding, tree=tree)


def paged_decode(
    target: Target, heads: Heads, *, sliding: bool = False
) -> tirx.PrimFunc:
    """Return `attention.paged_decode` for the CPU."""
    return attention.paged_decode(_Blocks(target, heads, 1), sliding=sliding)


def _prefill(target: Target, heads: Heads) -> _Blocks:
    return _Blocks(target, heads, max(1, _ROWS // heads.group))


class _Blocks(Blocks):
    def __init__(self, target: Target, heads: Heads, tokens: int) -> None:
        self.heads = heads
        self.tokens = tokens
        self.share = heads.group
        self._plan = Plan.of(target, heads, tokens)

    def each(self, count: Expr) -> AbstractContextManager[Expr]:
        frame: AbstractContextManager[Expr] = T.parallel(count)
        return frame

    def present(self, condition: Expr) -> Expr:
        return condition

    def attend(
        self, rows: Rows, columns: Columns, sm_scale: Expr, rotate: Expr
    ) -> None:
        attend(self._plan, rows, columns, sm_scale, rotate)
