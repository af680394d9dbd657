"""A row cut into parts, one for each thread, with the sums that lie before each."""

from __future__ import annotations

from collections.abc import Callable

from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.gpu.launch import THREADS, Block, meet

__all__ = ["Parts"]


class Parts:
    """The cumulative sums of a row of ``width`` float32, at any of its elements.

    They never fall from one element to the next, however they are rounded, if no
    element is negative.
    """

    def __init__(
        self, here: Block, width: int, element: Callable[[Expr], Expr]
    ) -> None:
        """Emit the sums of all parts; ``element(v)`` is one of the row."""
        self._element = element
        self._width = width
        self._length = -(-width // THREADS)
        self._first = T.bind(T.Cast("int64", here.thread) * self._length)
        self._reached = here.local("float32", T.float32(0))
        self._each(lambda _: None)
        sums = T.alloc_buffer((THREADS,), "float32", scope="shared")
        T.buffer_store(sums, self._reached[0], [here.thread])
        meet()
        before = here.local("float32", T.float32(0))
        with T.serial(here.thread) as t:
            T.buffer_store(before, before[0] + sums[t], [0])
        self._before = T.bind(before[0])
        total = here.local("float32", T.float32(0))
        with T.serial(THREADS) as t:
            T.buffer_store(total, total[0] + sums[t], [0])
        self.total = T.bind(total[0])
        """The sum of the row; every thread has it."""

    def walk(self, emit: Callable[[Expr, Expr], None]) -> None:
        """Emit ``emit(v, reached)`` for each element of this thread's part, in order.

        ``reached`` is the sum of the row up to the element, that included.
        """
        T.buffer_store(self._reached, T.float32(0), [0])
        self._each(lambda v: emit(v, self._before + self._reached[0]))

    def _each(self, emit: Callable[[Expr], None]) -> None:
        with T.serial(self._length) as i:
            v = T.bind(self._first + i)
            with T.If(v < self._width), T.Then():
                reached = self._reached[0] + self._element(v)
                T.buffer_store(self._reached, reached, [0])
                emit(v)
