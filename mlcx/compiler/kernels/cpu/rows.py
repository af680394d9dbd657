"""Kernels that treat each row of a tensor for itself, whatever the leading axes are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tvm.ir import Expr
from tvm.script import tirx as T
from tvm.target import Target

from mlcx.compiler.kernels.cpu.simd import float32_lanes
from mlcx.compiler.kernels.script import parallel_from, places

__all__ = ["Place", "each_row", "row_sum"]

Place = Callable[[Expr], list[Expr]]
"""An index into the last axis to all indices of an element of the current row."""

_PARALLEL_ELEMENTS = 1 << 16

_CHAINS = 4
"""Sums in flight, as an addition takes about as many cycles."""


def each_row(
    leading: Sequence[Expr | int], width: int, emit: Callable[[Place], None]
) -> None:
    """Emit ``emit`` for each row of ``width`` elements; in parallel when there is work.

    ``leading`` is what `renewed` returned.
    """
    fixed = math.prod(n for n in leading if isinstance(n, int))
    free = [n for n in leading if not isinstance(n, int)]
    rows = math.prod(free, start=T.int64(fixed))

    def row(index: Expr) -> None:
        at = places(index, leading)
        emit(lambda last: [*at, last])

    parallel_from(max(2, _PARALLEL_ELEMENTS // width), rows, row)


def row_sum(target: Target, width: int, element: Callable[[Expr], Expr]) -> Expr:
    """Emit the sum of float32 ``element(i)`` over i below ``width``; return it."""
    w = math.gcd(width, float32_lanes(target))
    chains = math.gcd(width // w, _CHAINS)
    sums = T.alloc_buffer((chains, w), "float32")
    total = T.alloc_buffer((1,), "float32")
    with T.unroll(chains) as c, T.vectorized(w) as l:
        T.buffer_store(sums, T.float32(0), [c, l])
    steps = width // w // chains
    with T.serial(steps) as i, T.unroll(chains) as c, T.vectorized(w) as l:
        value = element((i * chains + c) * w + l)
        T.buffer_store(sums, sums[c, l] + value, [c, l])
    T.buffer_store(total, T.float32(0), [0])
    with T.serial(chains) as c, T.serial(w) as l:
        T.buffer_store(total, total[0] + sums[c, l], [0])
    return total[0]
