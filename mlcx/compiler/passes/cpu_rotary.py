"""On the CPU, heads that a model rotates itself: one kernel rotates and joins them."""

from __future__ import annotations

from tvm import relax
from tvm.target import Target

from mlcx.compiler.kernels.cpu.rope import join_rotary
from mlcx.compiler.kernels.rotation import Rotation, frequencies
from mlcx.compiler.passes.dispatch import Rule, Scope, dtype_of
from mlcx.nn.rotary import JOIN_ROTARY, Rotary

__all__ = ["rotary_rule"]


def rotary_rule(target: Target) -> Rule:
    """Return the rule for calls of the placeholder in ``nn/rotary.py``."""

    def rule(call: relax.Call, scope: Scope) -> relax.Expr | None:
        function = call.args[0]
        if not isinstance(function, relax.ExternFunc):
            return None
        if function.global_symbol != JOIN_ROTARY:
            return None
        *tensors, options = call.args[1].fields
        q, k = tensors[:2]
        _, heads, width = q.ty.shape
        sizes = int(heads), int(k.ty.shape[1]), int(width)
        text, dtype = str(options.value), dtype_of(q)
        rotary = Rotary.from_json(text)
        turn = frequencies(rotary.theta, int(width), rotary.scaling)
        kernel = scope.kernel(
            (JOIN_ROTARY, *sizes, dtype, text),
            "join_rotary",
            lambda: join_rotary(target, *sizes, Rotation(turn), dtype),
        )
        return relax.call_tir(kernel, relax.Tuple(tensors), call.ty)

    return rule
