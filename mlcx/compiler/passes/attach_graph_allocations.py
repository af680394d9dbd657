"""Add ``cuda_graph_alloc_init``, which allocates what captured graphs work in.

A CUDA graph is launched again with the addresses that it was captured with, so that its
memory is allocated once, by a function that capturing adds to the module. Engines call
this one when they load a library, so that no step of the model's does it first.
"""

from __future__ import annotations

import tvm
from tvm import ir, relax
from tvm.ir.transform import Pass, PassContext, module_pass

__all__ = ["AttachGraphAllocations"]

_NAME = "cuda_graph_alloc_init"
_ALLOCATE = "cuda_graph_alloc"
"""The function that TVM's ``RewriteCUDAGraph`` adds; there is one of a module."""
_CACHED = "vm.builtin.cuda_graph.get_cached_alloc"
_INDEX = 0
"""Of its memory among what is cached, as the calls have it that TVM adds."""


def AttachGraphAllocations() -> Pass:  # noqa: N802
    """Return the pass: where nothing is captured, it changes nothing."""

    @module_pass(opt_level=0, name="AttachGraphAllocations")
    def attach(mod: tvm.IRModule, _: PassContext) -> tvm.IRModule:
        names = {var.name_hint: var for var in mod.get_global_vars()}
        if _ALLOCATE not in names:
            return mod
        builder = relax.BlockBuilder(mod)
        with builder.function(_NAME, [], {"relax.force_pure": True}):
            builder.emit_func_output(builder.emit(_call(names[_ALLOCATE])))
        return builder.finalize()

    return attach


def _call(allocate: ir.GlobalVar) -> relax.Expr:
    return relax.op.call_builtin_with_ctx(
        _CACHED, [allocate, relax.prim_value(_INDEX)], ty_args=relax.AnyType()
    )
