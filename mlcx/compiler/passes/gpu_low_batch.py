"""On GPUs, products of few rows, as in decoding a few sequences at once.

How many rows there are is known when a kernel runs, and a schedule for many leaves most
threads idle on a few. So the host picks among schedules, each for up to so many rows.
"""

from __future__ import annotations

from itertools import pairwise

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import Expr
from tvm.ir.transform import Pass, PassContext, module_pass
from tvm.s_tir import SBlock, SBlockRealize, Schedule, dlight
from tvm.target import Target
from tvm.tirx.buffer import is_buffer_var

from mlcx.compiler.kernels.gpu.matmul import PRODUCT

__all__ = ["OtherProducts", "SpecializeLowBatch"]

_SCHEDULES = ((2, 2), (8, 4))
"""Up to how many rows, and how many each block of threads takes on."""

_EVER = 2**31 - 1
"""No bound."""

_ANY_GPU = Target("opencl")
"""Has no schedule of products of its own."""


class OtherProducts(dlight.gpu.Matmul):
    """Schedules products that ``SpecializeLowBatch`` leaves, as dlight does.

    Its schedules for Metal's matrices and for Adreno fail on a matrix that is not
    transposed and rows of any number, once indices are narrow: there, that for any GPU.
    """

    def apply(
        self, func: tirx.PrimFunc, target: Target, tunable: bool
    ) -> Schedule | None:
        """Return the schedule; None: it is no product."""
        own = target.kind.name not in ("metal", "opencl") or _is_product(func)
        found: Schedule | None = super().apply(
            func, target if own else _ANY_GPU, tunable
        )
        return found


def SpecializeLowBatch(target: Target) -> Pass:  # noqa: N802
    """Return the pass that schedules products whose one free size is their rows."""

    @module_pass(opt_level=0, name="SpecializeLowBatch")
    def specialize(mod: tvm.IRModule, _: PassContext) -> tvm.IRModule:
        changed = mod.clone()
        for name, function in mod.functions_items():
            if isinstance(function, tirx.PrimFunc) and not _scheduled(function):
                chosen = _specialized(function, target)
                if chosen is not None:
                    changed[name] = chosen
        return changed

    return specialize


def _specialized(function: tirx.PrimFunc, target: Target) -> tirx.PrimFunc | None:
    """Return ``function`` with all its schedules, or None where one does not apply."""
    sizes = _free_sizes(function)
    if len(sizes) != 1 or not _is_product(function):
        return None
    few = [dlight.gpu.LowBatchGEMV(rows) for _, rows in _SCHEDULES]
    bodies = [_body(rule, function, target) for rule in (*few, dlight.gpu.Matmul())]
    if None in bodies:
        return None
    limits = [0, *(limit for limit, _ in _SCHEDULES), _EVER]
    parts = [tirx.all(sizes[0] > a, sizes[0] <= b) for a, b in pairwise(limits)]
    chosen = [_once(*each) for each in zip(parts, bodies, strict=True)]
    root = SBlockRealize([], True, SBlock([], [], [], "root", tirx.SeqStmt(chosen)))
    return function.with_body(root).with_attr("tirx.is_scheduled", True)


def _once(condition: Expr, body: tirx.Stmt) -> tirx.Stmt:
    """Return ``body`` as a loop of one round or of none.

    In a branch, even of the host, TVM synchronizes no threads.
    """
    rounds = tirx.Cast("int64", condition)
    return tirx.For(tirx.Var("_", "int64"), 0, rounds, tirx.ForKind.SERIAL, body)


def _body(
    rule: dlight.ScheduleRule, function: tirx.PrimFunc, target: Target
) -> tirx.Stmt | None:
    schedule = rule.apply(function, target, False)
    return None if schedule is None else schedule.mod["main"].body


def _is_product(function: tirx.PrimFunc) -> bool:
    """Say whether it is a product with a transposed matrix, fused to whatever else.

    Of others, the schedules for few rows make something else.
    """
    names: set[str] = set()

    def visit(block: SBlock) -> None:
        names.add(str(block.name_hint))

    tvm_ffi.structural_walk(function.body, (SBlock, visit), order="post")
    return PRODUCT in names


def _free_sizes(function: tirx.PrimFunc) -> list[tirx.Var]:
    """Return the variables among the sizes of the arguments."""
    tensors = [each for each in function.params if is_buffer_var(each)]
    sizes = [size for tensor in tensors for size in tensor.shape]
    return list(dict.fromkeys(size for size in sizes if isinstance(size, tirx.Var)))


def _scheduled(function: tirx.PrimFunc) -> bool:
    return bool((function.attrs or {}).get("tirx.is_scheduled", False))
