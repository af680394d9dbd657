"""Group quantization compiled for this machine: numpy's bytes, several times as fast.

The kernel does what the formulas of ``group`` say, one group after the other, each
operation on a vector of the whole group. Nothing in it can be fused or rounded
differently, as it adds to no product. Compiling takes a tenth of a second for each kind
of group; the machine code stays in memory, so that no linker is needed.
"""

from __future__ import annotations

import functools

import numpy as np
import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as emit
from tvm.script.ir_builder import IRBuilder
from tvm.target import Target
from tvm.target.codegen import llvm_get_system_triple
from tvm.tirx.script.builder.ir import prim_func

from mlcx.machine import runs_code_for
from mlcx.quant.group import GroupPacking
from mlcx.quant.packing import Packing
from mlcx.quant.plain import Array
from mlcx.quant.scratch import Scratch

__all__ = ["CompiledGroupPacking", "compiled"]

_TO_INTEGER = 1.5 * 2**23
"""Added to a small float32 it rounds it to an integer, which the low bits then hold."""

_CPUS = {"x86_64": "x86-64-v3", "aarch64": "generic", "arm64": "generic"}
"""Architecture of a machine to the least CPU that converts float16 by instructions."""


class CompiledGroupPacking(GroupPacking):
    """Packs to the same bytes by machine code, and leaves Python's lock meanwhile."""

    def _pack(
        self, groups: Array, words: Array, scales: Array, scratch: Scratch
    ) -> None:
        unsigned = f"u{groups.itemsize}"
        given = np.require(groups, requirements=["C", "W"])
        parts = (given.view(unsigned), words, scales.view(unsigned))
        function = _function(self, self._divides_unrounded)
        function(*map(tvm_ffi.from_dlpack, parts))


def compiled(packing: Packing | None) -> Packing | None:
    """Return what packs to ``packing``'s bytes, compiled where that is possible."""
    if isinstance(packing, GroupPacking) and _target() is not None:
        return CompiledGroupPacking(**vars(packing))
    return packing


@functools.cache
def _target() -> Target | None:
    """Return what to compile for; None: this machine lacks what kernels need."""
    triple = llvm_get_system_triple()
    cpu = _CPUS.get(triple.partition("-")[0])
    if cpu is None or not runs_code_for(cpu):
        return None
    return Target({"kind": "llvm", "mtriple": triple, "mcpu": cpu})


@functools.cache
def _function(packing: GroupPacking, divides_unrounded: bool) -> tvm_ffi.Function:
    """Return f(groups (m, G), words (m, words), scales (m,)), floats as their bits."""
    kernel = _Kernel(packing, divides_unrounded).function()
    # Common-subexpression elimination leaves dangling variables.
    with tvm.transform.PassContext(config={"tirx.disable_cse_tir": True}):
        return tvm.compile(kernel, target=_target())["pack"]


class _Kernel:
    """Emits the kernel of one kind of group."""

    def __init__(self, packing: GroupPacking, divides_unrounded: bool) -> None:
        self._packing = packing
        self._divides_unrounded = divides_unrounded
        self._dtype = packing.model_dtype
        self._lanes = packing.group_size
        self._bits = 32 if self._dtype == "float32" else 16
        self._unsigned = f"uint{self._bits}"

    def function(self) -> tirx.PrimFunc:
        """Return the whole kernel."""
        with IRBuilder() as builder, prim_func(s_tir=True):
            emit.func_name("pack")
            emit.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
            m = tirx.Var("m", "int64")
            groups = _argument("groups", (m, self._lanes), self._unsigned)
            words = _argument("words", (m, self._packing.words_per_group), "uint32")
            scales = _argument("scales", (m,), self._unsigned)
            with emit.serial(m) as group:
                bits = self._load(groups, group)
                divisor = self._scale(bits, scales, group)
                self._join(self._codes(bits, divisor), words, group)
        return builder.get()

    def _load(self, groups: tirx.Buffer, group: Expr) -> Expr:
        """Return the bits of a group, whose memory is aligned to elements only."""
        copy = emit.alloc_buffer((self._lanes,), self._unsigned)
        with emit.serial(self._lanes) as i:
            emit.buffer_store(copy, groups[group, i], [i])
        return emit.bind(_load(copy, 0, self._lanes))

    def _scale(self, bits: Expr, scales: tirx.Buffer, group: Expr) -> Expr:
        """Store the scale of a group; return, in float32, what to divide by.

        Magnitudes of floats order as the integers of the same bits do; NaN wins.
        """
        every_bit = (1 << (self._bits - 1)) - 1
        magnitudes = bits & _each(every_bit, self._unsigned, self._lanes)
        largest = _reduced("umax", magnitudes, self._unsigned)
        most = tirx.const(self._packing.max_code, "float32")
        exact = emit.bind(self._widened(largest, 1) / most)
        scale = emit.bind(self._narrowed(exact))
        emit.buffer_store(scales, scale, [group])
        if self._divides_unrounded:
            return exact
        return emit.bind(self._widened(scale, 1))

    def _codes(self, bits: Expr, divisor: Expr) -> Expr:
        """Return uint32 codes; where the quotient is NaN, as of 0 / 0, the lowest."""
        lanes, most = self._lanes, self._packing.max_code
        lowest, highest = (_each(end, "float32", lanes) for end in (-most, most))
        value = emit.bind(self._widened(bits, lanes) / tirx.Broadcast(divisor, lanes))
        value = emit.bind(tirx.Select(value > lowest, value, lowest))
        value = emit.bind(tirx.Select(value < highest, value, highest))
        value = emit.bind(self._rounded(self._rounded(value) + highest))
        integer = value + _each(_TO_INTEGER, "float32", lanes)
        mask = _each((1 << self._packing.bits) - 1, "uint32", lanes)
        return tirx.reinterpret(f"uint32x{lanes}", integer) & mask

    def _join(self, codes: Expr, words: tirx.Buffer, group: Expr) -> None:
        """Store the words of a group: each code at its place, then all put together."""
        lanes, each = self._lanes, self._packing.codes_per_word
        places = tirx.floormod(tirx.Ramp(0, 1, lanes), _each(each, "int32", lanes))
        shifts = places * _each(self._packing.bits, "int32", lanes)
        placed = emit.alloc_buffer((lanes,), "uint32")
        shifted = tirx.shift_left(codes, tirx.Cast(f"uint32x{lanes}", shifts))
        emit.buffer_store(placed, shifted, [tirx.Ramp(0, 1, lanes)])
        for word in range(self._packing.words_per_group):
            of_word = _load(placed, word * each, each)
            emit.buffer_store(words, _reduced("or", of_word, "uint32"), [group, word])

    def _widened(self, bits: Expr, lanes: int) -> Expr:
        """Return as float32 what the dtype's ``bits`` stand for."""
        single = _vector("float32", lanes)
        if self._dtype == "float16":
            half = tirx.reinterpret(_vector("float16", lanes), bits)
            return tirx.Cast(single, half)
        if self._dtype == "bfloat16":
            upper = tirx.Cast(_vector("uint32", lanes), bits)
            bits = tirx.shift_left(upper, _each(16, "uint32", lanes))
        return tirx.reinterpret(single, bits)

    def _narrowed(self, value: Expr) -> Expr:
        """Return the bits of the scalar float32 ``value``, rounded to the dtype."""
        if self._dtype == "float16":
            return tirx.reinterpret("uint16", tirx.Cast("float16", value))
        bits = emit.bind(tirx.reinterpret("uint32", value))
        if self._dtype == "float32":
            return bits
        sixteen, one = tirx.const(16, "uint32"), tirx.const(1, "uint32")
        odd = tirx.shift_right(bits, sixteen) & one
        rounded = bits + odd + tirx.const(0x7FFF, "uint32")
        return tirx.Cast("uint16", tirx.shift_right(rounded, sixteen))

    def _rounded(self, values: Expr) -> Expr:
        """Round float32 ``values`` as arithmetic in the dtype does."""
        if self._dtype != "float16":
            return values
        half = tirx.Cast(_vector("float16", self._lanes), values)
        return tirx.Cast(_vector("float32", self._lanes), half)


def _argument(name: str, shape: tuple[Expr | int, ...], dtype: str) -> tirx.Buffer:
    """Declare the next argument; numpy aligns memory to elements only."""
    align = np.dtype(dtype).itemsize
    return emit.arg(name, emit.buffer(shape, dtype, align=align))


def _vector(dtype: str, lanes: int) -> str:
    return dtype if lanes == 1 else f"{dtype}x{lanes}"


def _each(value: float, dtype: str, lanes: int) -> Expr:
    """Return a constant in every lane."""
    constant = tirx.const(value, dtype)
    return constant if lanes == 1 else tirx.Broadcast(constant, lanes)


def _load(buffer: tirx.Buffer, start: int, lanes: int) -> Expr:
    return tirx.BufferLoad(buffer, [tirx.Ramp(start, 1, lanes)])


def _reduced(how: str, vector: Expr, dtype: str) -> Expr:
    """Return all lanes of a ``vector`` of ``dtype`` reduced to one."""
    name = f"llvm.vector.reduce.{how}"
    return emit.bind(tirx.call_llvm_pure_intrin(dtype, name, vector))
