"""Launching threads: one for each element, or a block of threads for each row.

The indices are int64; where a device has none, a pass narrows them. Threads of a block
meet at `meet`, which all of them must reach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

__all__ = ["THREADS", "Block", "block", "each", "meet"]

THREADS = 256
"""Of a block: as many as every GPU has."""


def each(extent: Expr, emit: Callable[[Expr], None]) -> None:
    """Emit ``emit(i)`` for each i below ``extent``, in a thread of its own."""
    blocks = (extent + (THREADS - 1)) // THREADS
    with _bound(blocks, "blockIdx.x") as b, _bound(THREADS, "threadIdx.x") as t:
        i = T.bind(_wide(b) * THREADS + _wide(t))
        with T.If(i < extent), T.Then():
            emit(i)


@contextmanager
def block(*grid: Expr | int) -> Iterator[Block]:
    """Emit `THREADS` threads for each point of a grid of one to three axes."""
    with ExitStack() as stack:
        at = [
            stack.enter_context(_bound(extent, f"blockIdx.{'xyz'[axis]}"))
            for axis, extent in enumerate(grid)
        ]
        thread = stack.enter_context(_bound(THREADS, "threadIdx.x"))
        yield Block(tuple(map(_wide, at)), thread)


def meet() -> None:
    """Emit the wait for all threads of the block, and for what they have written."""
    T.evaluate(T.tvm_storage_sync("shared"))


class Block:
    """The threads of one block, inside `block`."""

    def __init__(self, at: tuple[Expr, ...], thread: Expr) -> None:
        self.at = at
        """Where it is in the grid, int64."""
        self.thread = thread
        """This thread's number, below `THREADS`, int32."""

    def strided(self, extent: Expr | int, emit: Callable[[Expr], None]) -> None:
        """Emit ``emit(i)`` for each i below ``extent``, neighbours side by side."""
        steps = (extent + (THREADS - 1)) // THREADS
        with T.serial(steps) as step:
            i = T.bind(_wide(step) * THREADS + _wide(self.thread))
            with T.If(i < extent), T.Then():
                emit(i)

    def local(self, dtype: str, value: Expr) -> tirx.Buffer:
        """Emit a variable of each thread, set to ``value``."""
        variable = T.alloc_buffer((1,), dtype, scope="local")
        T.buffer_store(variable, value, [0])
        return variable

    def reduced(
        self, value: Expr, dtype: str, combine: Callable[[Expr, Expr], Expr]
    ) -> Expr:
        """Emit the combination of all threads' values; every thread gets it."""
        shared = T.alloc_buffer((THREADS,), dtype, scope="shared")
        t = self.thread
        # Nobody may still read what another reduction left in the same memory.
        meet()
        T.buffer_store(shared, value, [t])
        meet()
        stride = THREADS // 2
        while stride:
            with T.If(t < stride), T.Then():
                T.buffer_store(shared, combine(shared[t], shared[t + stride]), [t])
            meet()
            stride //= 2
        return T.bind(shared[0])

    def only_first(self, emit: Callable[[], None]) -> None:
        """Emit what one thread does for all."""
        with T.If(self.thread == 0), T.Then():
            emit()


def _bound(extent: Expr | int, axis: str) -> T.frame.ForFrame:
    return T.thread_binding(0, extent, thread=axis)


def _wide(index: Expr) -> Expr:
    return index if str(index.ty.dtype) == "int64" else T.Cast("int64", index)
