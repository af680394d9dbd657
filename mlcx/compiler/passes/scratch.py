"""What kernels allocate for themselves while they run, on a CPU.

Memory planning does not know of it: a product of many rows copies all of them to
float32. Kernels of GPUs have theirs in registers and in shared memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Any

import tvm
from tvm import relax, sym, tirx
from tvm.s_tir import SBlockRealize

from mlcx.compiler.passes.attach_bounds import BOUND

__all__ = ["scratch_bytes"]

_ON_STACK = 1024
"""Bytes of a buffer that TVM keeps out of the heap."""

_Fold = Callable[[Any], int | None]
"""Gives the number that an expression is at the largest sizes; None: it is unknown."""


def scratch_bytes(mod: tvm.IRModule, function: relax.Function) -> int:
    """Return the most that a kernel takes that ``function`` calls.

    Sizes are the largest that the function may meet; buffers of a size without a bound
    do not count. Of what each thread has, one thread's does.
    """
    bounds = (function.attrs or {}).get(BOUND, {})
    found = relax.analysis.defined_symbolic_vars(function)
    fold = _folding({v: int(bounds[v.name]) for v in found if v.name in bounds})
    return max((_of_call(mod, call, fold) for call in _calls(function)), default=0)


def _calls(function: relax.Function) -> Iterator[relax.Call]:
    """Yield the calls of the module's own functions."""
    for block in function.body.blocks:
        for binding in block.bindings:
            call = binding.value
            called = call.op if isinstance(call, relax.Call) else None
            if isinstance(called, tvm.ir.GlobalVar):
                yield call


def _of_call(mod: tvm.IRModule, call: relax.Call, fold: _Fold) -> int:
    kernel = mod[call.op]
    if not isinstance(kernel, tirx.PrimFunc):
        return 0
    sizes: dict[tirx.Var, int] = {}
    for param, given in zip(kernel.params, call.args, strict=False):
        shape = getattr(given.ty, "shape", None)
        if isinstance(param.ty, tirx.BufferType) and shape is not None:
            for own, size in zip(param.shape, shape, strict=False):
                known = fold(size)
                if isinstance(own, tirx.Var) and known is not None:
                    sizes[own] = known
    return _taken(kernel.body, _folding(sizes))


def _taken(stmt: tirx.Stmt, fold: _Fold) -> int:
    """Return the bytes that ``stmt`` has at once."""
    if isinstance(stmt, tirx.AllocBuffer):
        return _bytes(stmt.buffer, fold)
    if isinstance(stmt, tirx.SeqStmt):
        return sum(_taken(each, fold) for each in stmt.seq)
    if isinstance(stmt, tirx.IfThenElse):
        ways = [stmt.then_case, stmt.else_case]
        holds = fold(stmt.condition)
        if holds is not None:
            ways = ways[:1] if holds else ways[1:]
        return max((_taken(way, fold) for way in ways if way is not None), default=0)
    if isinstance(stmt, SBlockRealize):
        return _taken(stmt.block.body, fold)
    if isinstance(stmt, tirx.For | tirx.AttrStmt):
        return _taken(stmt.body, fold)
    return 0


def _bytes(buffer: tirx.Buffer, fold: _Fold) -> int:
    sizes = [fold(size) for size in buffer.shape]
    if buffer.scope() != "global" or None in sizes:
        return 0
    nbytes = prod(filter(None, sizes)) * tvm.DataType(buffer.dtype).itemsize
    return nbytes if nbytes > _ON_STACK else 0


def _folding(sizes: Mapping[tirx.Var, int]) -> _Fold:
    analyzer = sym.Analyzer()
    for var, size in sizes.items():
        analyzer.bind(var, tirx.IntImm("int64", size))

    def fold(size: Any) -> int | None:
        found = size if isinstance(size, int) else analyzer.simplify(size)
        return int(found) if isinstance(found, int | tirx.IntImm) else None

    return fold
