"""Give the symbols of a library that is linked into an app a prefix of its own."""

from __future__ import annotations

import tvm
from tvm import relax, tirx
from tvm.ir.transform import Pass, PassContext, module_pass

__all__ = ["ATTRIBUTE", "AttachPrefix"]

ATTRIBUTE = "system_lib_prefix"
"""Of a module: makes the code generator register its symbols, with this before them."""


def AttachPrefix(prefix: str) -> Pass:  # noqa: N802 (TVM's passes are named so)
    """Return the pass that renames each kernel ``f`` to ``prefix + "f"``.

    Functions of the graph keep their names, as those that call them look for these.
    The module is one whose functions have their symbols already, and no kernel of it
    calls another one.
    """

    @module_pass(opt_level=0, name="AttachPrefix")
    def attach(module: tvm.IRModule, _: PassContext) -> tvm.IRModule:
        marked = _without_bodies(module).with_attr(ATTRIBUTE, prefix)
        renamed = relax.transform.AttachGlobalSymbol()(marked)
        for old, function in module.functions_items():
            if isinstance(function, tirx.PrimFunc):
                new = renamed.get_global_var(prefix + old.name_hint)
                shell = renamed[new]
                renamed.update_func(new, shell.with_body(function.body))
        return renamed

    return attach


def _without_bodies(module: tvm.IRModule) -> tvm.IRModule:
    """Return ``module`` with empty kernels.

    TVM's renaming visits their bodies, and takes no calls that return a pointer, such
    as those to the matrix units of Metal.
    """
    functions = {
        name: function.with_body(tirx.Evaluate(0))
        if isinstance(function, tirx.PrimFunc)
        else function
        for name, function in module.functions_items()
    }
    return tvm.IRModule(functions, module.attrs, module.global_infos)
