"""Add what changes logits before sampling: bias, penalties and grammar masks."""

from __future__ import annotations

from tvm import IRModule
from tvm.ir.transform import Pass, PassContext, module_pass
from tvm.target import Target

from mlcx.compiler.kernels.cpu import logits as cpu
from mlcx.compiler.kernels.gpu import logits as gpu
from mlcx.compiler.passes.additions import Additions

__all__ = ["AttachLogitProcessors"]


def AttachLogitProcessors(target: Target) -> Pass:  # noqa: N802
    """Return the pass that adds the in-place functions on logits (B, V) float32.

    apply_logit_bias_inplace, apply_penalty_inplace, apply_bitmask_inplace: their
    arguments are their kernels' (`mlcx.compiler.kernels.cpu.logits`).
    """
    logits = cpu if target.kind.name == "llvm" else gpu

    @module_pass(opt_level=0, name="AttachLogitProcessors")
    def attach(mod: IRModule, _: PassContext) -> IRModule:
        additions = Additions({})
        additions.export("apply_logit_bias_inplace", logits.apply_logit_bias())
        additions.export("apply_penalty_inplace", logits.apply_penalty())
        additions.export("apply_bitmask_inplace", logits.apply_bitmask())
        return additions.added_to(mod)

    return attach
