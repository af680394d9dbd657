"""On GPUs, mixtures of experts: one kernel for each placeholder."""

from __future__ import annotations

from math import gcd

import tvm_ffi
from tvm import relax, tirx
from tvm.s_tir import Schedule

from mlcx.compiler.kernels.gpu.moe import PAIRS, combination, pairs_matmul, routing
from mlcx.compiler.passes.dispatch import Rule, Scope, dtype_of, of_symbols
from mlcx.compiler.passes.gpu_dequantize import dequantizing, stored
from mlcx.compiler.passes.moe import combine, routes
from mlcx.nn.moe import COMBINE, EXPERTS

__all__ = ["gpu_moe_rule"]

_OPAQUE = 8
"""The ``op_pattern`` of what nothing is fused to."""
_THREADS, _ROWS = 32, 8
"""How many add up an element, and how many elements a block of them has at most."""
_RUN = 8
"""Numbers side by side that a thread takes at a time: of 4 bits a word has as many."""
_AXES = ("blockIdx.x", "blockIdx.y", "threadIdx.y", "threadIdx.x")
"""Pairs are the first, which may be the largest."""


def gpu_moe_rule() -> Rule:
    """Return the rule for calls of the placeholders in ``nn/moe.py``."""
    return of_symbols(
        {
            **routes(routing),
            EXPERTS: _experts,
            COMBINE: combine(combination),
        }
    )


def _experts(call: relax.Call, scope: Scope) -> relax.Expr:
    order, _, x, weight = call.args[1].fields
    tokens, chosen = order.ty.shape
    count = int(tokens) if isinstance(tokens, tirx.IntImm) else None
    experts, n, k = (int(size) for size in weight.ty.shape)
    spread = bool(tvm_ffi.structural_equal(x.ty.shape[0], tokens))
    dtypes = (dtype_of(x), dtype_of(weight), dtype_of(call))
    options = (count, int(chosen), (experts, n, k), spread, dtypes)
    source = stored(weight, scope)
    kernel = scope.kernel(
        (EXPERTS, source.name, *options),
        "moe_experts",
        lambda: _scheduled(dequantizing(pairs_matmul(*options), 2, source)),
    )
    arguments = relax.Tuple([x, order, *source.tensors])
    return relax.call_tir(kernel, arguments, call.ty)


def _scheduled(product: tirx.PrimFunc) -> tirx.PrimFunc:
    """Return ``product`` with a row of threads for each of its elements.

    Each thread adds up a part of an element, then the threads add up their sums: none
    of them is in memory. The rules for products would not see that each row has a
    matrix of its own.
    """
    schedule = Schedule(product)
    block = schedule.get_sblock(PAIRS)
    while producers := schedule.get_producers(block):
        schedule.compute_inline(producers[0])
    pair, column, place = schedule.get_loops(block)
    columns, length = (int(schedule.get(loop).extent) for loop in (column, place))
    column, row = schedule.split(column, [None, gcd(_ROWS, columns)])
    run = gcd(_RUN, length // gcd(_THREADS, length))
    start, thread, place = schedule.split(place, [None, _THREADS, run])
    schedule.reorder(pair, column, row, thread, start, place)
    for loop, axis in zip((pair, column, row, thread), _AXES, strict=True):
        schedule.bind(loop, axis)
    for rounding in schedule.get_consumers(block):
        schedule.set_scope(block, 0, "local")
        schedule.reverse_compute_at(rounding, row)
    attrs = {"tirx.is_scheduled": True, "op_pattern": _OPAQUE}
    return schedule.mod["main"].with_attr(attrs)
