"""The operands of a matmul as its kernels see them, whatever dims the caller has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from tvm.ir import Expr
from tvm.tirx import Buffer

from mlcx.compiler.kernels.cpu.weights import WeightFormat

__all__ = ["Operands", "RowOf"]

RowOf: TypeAlias = Callable[[Expr | int], Expr | int]
"""Number of a product's row to the place of its operand or its result."""


@dataclass(frozen=True)
class Operands:
    """``out[m, n] = sum_k x[m, k] * W[n, k]``, within a function being built.

    ``x`` (M, K) and ``out`` (M, N) are flat views; ``weights`` are the buffers of
    ``format`` in its own order; ``lanes`` is how many float32 a vector holds. ``n`` is
    not known where one kernel `serves_any`; then it fills a tile of the GEMM.
    """

    lanes: int
    format: WeightFormat
    rows: Expr | int
    n: Expr | int
    k: int
    x: Buffer
    weights: tuple[Buffer, ...]
    out: Buffer
    out_dtype: str
    most_rows: Expr | int | None = None
    """How many rows there may be, where ``rows`` is not known when memory is taken."""
    x_row: RowOf = lambda m: m
    """Where ``x[m]`` lies in x."""
    out_row: RowOf = lambda m: m
    """Where ``out[m]`` lies in out."""
