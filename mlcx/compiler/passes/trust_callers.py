"""Kernels that only the model's own functions call need not check what they are given.

TVM begins each function with checks of every argument's type, shape, strides and
device, and a sentence for each that may fail: half of a small library's code, and a
fifth of the time to compile it. The functions of the graph check theirs, and what they
pass on follows from these. A function that programs call by its name keeps its checks,
and so does one that is handed to the runtime, as a cache's are.
"""

from __future__ import annotations

import tvm
from tvm import relax, tirx
from tvm.ir.transform import Pass, PassContext, Sequential, module_pass
from tvm.tirx.compilation_pipeline import get_tir_pipeline, register_tir_pipeline

__all__ = ["PIPELINE", "TRUSTS", "TrustCallers"]

PIPELINE = "mlcx"
"""Name of TVM's own lowering of kernels, but for the checks that are left out."""

TRUSTS = "mlcx.trusts_callers"
"""Attribute of a kernel that checks nothing."""


def TrustCallers() -> Pass:  # noqa: N802 (TVM's passes are named so)
    """Return the pass that marks the kernels that the graph calls, and nobody else."""

    @module_pass(opt_level=0, name="TrustCallers")
    def mark(module: tvm.IRModule, _: PassContext) -> tvm.IRModule:
        for name in _only_called(module):
            if isinstance(module[name], tirx.PrimFunc):
                module.update_func(name, module[name].with_attr(TRUSTS, True))
        return module

    return mark


def _only_called(module: tvm.IRModule) -> list[tvm.ir.GlobalVar]:
    """Return them in the order of the calls, which is the same in every process."""
    called: dict[tvm.ir.GlobalVar, None] = {}
    handed_on: set[tvm.ir.GlobalVar] = set()

    def note(expression: relax.Expr) -> None:
        if isinstance(expression, relax.Call):
            if isinstance(expression.op, tvm.ir.GlobalVar):
                called[expression.op] = None
            handed_on.update(
                each for each in expression.args if isinstance(each, tvm.ir.GlobalVar)
            )

    for function in module.functions.values():
        if isinstance(function, relax.Function):
            relax.analysis.post_order_visit(function, note)
    return [name for name in called if name not in handed_on]


@module_pass(opt_level=0, name="SkipChecks")
def _skip_checks(module: tvm.IRModule, _: PassContext) -> tvm.IRModule:
    trusting = {
        name: function
        for name, function in module.functions.items()
        if function.attrs and TRUSTS in function.attrs
    }
    module.update(tirx.transform.SkipAssert()(tvm.IRModule(trusting)))
    return module


def _lowering() -> tuple[Pass, object, object]:
    lower, finish_host, finish_device = get_tir_pipeline("s_tir")
    return lower, lambda: Sequential([_skip_checks, finish_host()]), finish_device


register_tir_pipeline(PIPELINE, _lowering)
