"""Kernels that treat each row of a tensor for itself, whatever the leading axes are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.cpu.script import parallel_from

__all__ = ["Place", "each_row", "renewed"]

Place = Callable[[Expr], list[Expr]]
"""An index into the last axis to all indices of an element of the current row."""

_PARALLEL_ELEMENTS = 1 << 16


def renewed(leading: Sequence[Expr | int]) -> list[Expr | int]:
    """Return the leading axes with variables of the kernel's own."""
    sizes = (int(n) if isinstance(n, int | tirx.IntImm) else None for n in leading)
    return [T.int64() if n is None else n for n in sizes]


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
        places: list[Expr] = []
        left = index
        for n in reversed(leading):
            places.insert(0, T.int64(0) if n == 1 else T.bind(left % n))
            left = left if n == 1 else T.bind(left // n)
        emit(lambda last: [*places, last])

    parallel_from(max(2, _PARALLEL_ELEMENTS // width), rows, row)
