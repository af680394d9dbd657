"""Kernels written as Python functions that emit statements.

Unlike a parsed TVMScript function, parts of such a kernel are ordinary functions:
several kernels share them, and building takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder.ir import prim_func

__all__ = [
    "array",
    "define",
    "parallel_from",
    "places",
    "renewed",
    "scalar",
    "view",
]


def define(name: str, emit: Callable[[], None]) -> tirx.PrimFunc:
    """Return the function ``name`` of what ``emit`` declares and emits.

    No later pass schedules or fuses it; its arguments must not overlap.
    """
    with IRBuilder() as builder, prim_func(s_tir=True):
        T.func_name(name)
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True, "op_pattern": 8})
        emit()
    return builder.get()


def array(name: str, shape: Sequence[Expr | int], dtype: str) -> tirx.Buffer:
    """Declare the next argument: a tensor that starts where its memory does."""
    return T.arg(name, T.buffer(tuple(shape), dtype))


def view(name: str, shape: Sequence[Expr | int], dtype: str) -> tirx.Buffer:
    """Declare the next argument: a tensor that may start inside a larger one."""
    return T.arg(name, T.buffer(tuple(shape), dtype, elem_offset=T.int64()))


def scalar(name: str, dtype: str) -> tirx.Var:
    """Declare the next argument: a number."""
    return T.arg(name, tirx.Var(name, dtype))


def parallel_from(least: int, extent: Expr, emit: Callable[[Expr], None]) -> None:
    """Emit ``emit(i)`` for each i below ``extent``, on all threads from ``least`` on.

    Starting the threads takes some microseconds, which little work does not repay.
    """
    with T.If(extent < least):
        with T.Then(), T.serial(extent) as i:
            emit(i)
        with T.Else(), T.parallel(extent) as i:
            emit(i)


def renewed(leading: Sequence[Expr | int]) -> list[Expr | int]:
    """Return the leading axes with variables of the kernel's own."""
    sizes = (int(n) if isinstance(n, int | tirx.IntImm) else None for n in leading)
    return [T.int64() if n is None else n for n in sizes]


def places(index: Expr, leading: Sequence[Expr | int]) -> list[Expr]:
    """Emit where row ``index`` is along each of the ``leading`` axes."""
    found: list[Expr] = []
    for size in reversed(leading):
        # Truncation, as nothing is negative: the sign of a free size is not known.
        found.insert(0, T.int64(0) if size == 1 else T.bind(T.truncmod(index, size)))
        index = index if size == 1 else T.bind(T.truncdiv(index, size))
    return found
