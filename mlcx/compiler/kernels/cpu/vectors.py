"""Vector expressions and stores for kernels that are written out in full.

A vector has as many lanes as its caller says; one lane means a scalar. Sizes and
strides are Python numbers, so that what LLVM sees has constant offsets only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import mul

from tvm.ir import Expr
from tvm.tirx import (
    Broadcast,
    Buffer,
    BufferLoad,
    Cast,
    Ramp,
    Shuffle,
    Var,
    address_of,
    call_llvm_intrin,
    call_llvm_pure_intrin,
    const,
    reinterpret,
)
from tvm.tirx.script import builder as T

__all__ = [
    "Register",
    "bind",
    "cast",
    "flat",
    "fma",
    "lanes_sum",
    "load",
    "number",
    "pick",
    "prefetch",
    "signed",
    "splat",
    "store",
    "transposed",
    "vector_type",
]


def vector_type(dtype: str, lanes: int) -> str:
    """Return the name of ``dtype`` with that many lanes."""
    return dtype if lanes == 1 else f"{dtype}x{lanes}"


def bind(value: Expr) -> Var:
    """Compute ``value`` once, here, and return its name."""
    return T.Bind(value)


def flat(buffer: Buffer) -> Buffer:
    """Return a view of a compact buffer as one row."""
    size = reduce(mul, buffer.shape)
    start = buffer.elem_offset
    return T.decl_buffer((size,), buffer.ty.dtype, data=buffer.data, elem_offset=start)


def load(buffer: Buffer, *index: Expr | int, lanes: int, stride: int = 1) -> Expr:
    """Load ``lanes`` elements, ``stride`` apart along the last axis."""
    return BufferLoad(buffer, _spread(index, lanes, stride))


def store(buffer: Buffer, value: Expr, *index: Expr | int, lanes: int) -> None:
    """Store ``lanes`` elements going up along the last axis."""
    T.buffer_store(buffer, value, _spread(index, lanes, 1))


def _spread(index: Sequence[Expr | int], lanes: int, stride: int) -> list[Expr | int]:
    *outer, last = index
    return [*outer, last if lanes == 1 else Ramp(last, stride, lanes)]


def splat(value: Expr | int, lanes: int) -> Expr:
    """Repeat a scalar in every lane."""
    return value if lanes == 1 else Broadcast(value, lanes)


def number(value: float, lanes: int, dtype: str = "float32") -> Expr:
    """Return a constant in every lane."""
    return splat(const(value, dtype), lanes)


def cast(value: Expr, dtype: str, lanes: int) -> Expr:
    """Convert each lane to ``dtype``."""
    return Cast(vector_type(dtype, lanes), value)


def signed(value: Expr, lanes: int) -> Expr:
    """Read uint32 lanes as int32: conversion to float32 is one instruction then."""
    return reinterpret(vector_type("int32", lanes), value)


def fma(a: Expr, b: Expr, c: Expr, lanes: int) -> Expr:
    """Return a * b + c in float32, fused where the target can."""
    name = vector_type("float32", lanes)
    return call_llvm_pure_intrin(name, "llvm.fmuladd", a, b, c)


def pick(vectors: Sequence[Expr], lanes: Sequence[int]) -> Expr:
    """Return a vector of the named lanes of all ``vectors`` put end to end."""
    return Shuffle(list(vectors), list(lanes))


def lanes_sum(vector: Expr, lanes: int) -> Expr:
    """Return the sum of all lanes, halves first."""
    while lanes > 1:
        whole = bind(vector)
        lanes //= 2
        low, high = range(lanes), range(lanes, 2 * lanes)
        vector = pick([whole], low) + pick([whole], high)
    return vector


def transposed(rows: Sequence[Expr]) -> list[Expr]:
    """Return the columns of a square of vectors, as many rows as lanes.

    Squares of halving size swap their off-diagonal quarters (Eklundh's method).
    """
    lanes = distance = len(rows)
    square = list(rows)
    while distance > 1:
        distance //= 2
        low = [i if i & distance == 0 else lanes + i - distance for i in range(lanes)]
        high = [i + distance if i & distance == 0 else lanes + i for i in range(lanes)]
        for i in range(lanes):
            if i & distance == 0:
                pair = [square[i], square[i + distance]]
                square[i] = bind(pick(pair, low))
                square[i + distance] = bind(pick(pair, high))
    return square


def prefetch(buffer: Buffer, *index: Expr | int) -> None:
    """Ask for the cache line of an element; the element may lie past the end."""
    read, keep, data = (const(value, "int32") for value in (0, 3, 1))
    address = address_of(BufferLoad(buffer, list(index)))
    T.evaluate(call_llvm_intrin("void", "llvm.prefetch", address, read, keep, data))


class Register:
    """A float32 vector that keeps its place in a register through a loop.

    Each is a buffer of its own, of a size that TVM puts on the stack and LLVM then
    takes off it.
    """

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._buffer = T.alloc_buffer((lanes,), "float32")

    @property
    def value(self) -> Expr:
        """What it holds."""
        return load(self._buffer, 0, lanes=self._lanes)

    def set(self, value: Expr) -> None:
        """Hold ``value`` from here on."""
        store(self._buffer, value, 0, lanes=self._lanes)
