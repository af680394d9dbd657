"""Say how large symbolic sizes can get, so that memory is planned ahead."""

from __future__ import annotations

from collections.abc import Mapping

import tvm
from tvm import relax

__all__ = ["BOUND", "AttachBounds"]

BOUND = "tir_var_upper_bound"
"""Attribute of a function: name of a symbolic size to its maximum."""

_PLAN_OUTPUT = "relax.memory_plan_dynamic_func_output"


def AttachBounds(bounds: Mapping[str, int]) -> tvm.transform.Pass:  # noqa: N802
    """Attach ``bounds`` (name of a symbolic size to its maximum) to Relax functions.

    A function that brings its own bounds keeps them.
    """

    @tvm.transform.module_pass(opt_level=0, name="AttachBounds")
    def attach(mod: tvm.IRModule, _: tvm.transform.PassContext) -> tvm.IRModule:
        for name, function in mod.functions_items():
            if not isinstance(function, relax.Function):
                continue
            own = function.attrs is not None and BOUND in function.attrs
            bounded = function if own else function.with_attr(BOUND, dict(bounds))
            mod[name] = bounded.with_attr(_PLAN_OUTPUT, True)
        return mod

    return attach
