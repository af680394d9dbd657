"""On the CPU, layer normalization as one kernel."""

from __future__ import annotations

from tvm import relax
from tvm.target import Target

from mlcx.compiler.kernels.cpu.layer_norm import layer_norm
from mlcx.compiler.passes.dispatch import Rule, Scope, dtype_of, sizes_of

__all__ = ["layer_norm_rule"]


def layer_norm_rule(target: Target) -> Rule:
    """Return the rule for ``layer_norm(x, weight, bias)`` over the last axis."""

    def rule(call: relax.Call, scope: Scope) -> relax.Expr | None:
        x, weight, bias = call.args
        if [int(axis) for axis in call.attrs.axes] not in ([-1], [x.ty.ndim - 1]):
            return None
        *leading, hidden = x.ty.shape
        epsilon = float(call.attrs.epsilon)
        key = ("layer_norm", *sizes_of(x), dtype_of(x), epsilon)
        options = (target, leading, int(hidden), dtype_of(x), epsilon)
        kernel = scope.kernel(key, "layer_norm", lambda: layer_norm(*options))
        return relax.call_tir(kernel, relax.Tuple([x, weight, bias]), call.ty)

    return rule
