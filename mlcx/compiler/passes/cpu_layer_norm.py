"""On the CPU, layer and group normalization as one kernel each."""

from __future__ import annotations

from tvm import relax
from tvm.target import Target

from mlcx.compiler.kernels.cpu.layer_norm import group_norm, layer_norm
from mlcx.compiler.passes.dispatch import Rule, Scope, dtype_of, sizes_of

__all__ = ["group_norm_rule", "layer_norm_rule"]


def layer_norm_rule(target: Target) -> Rule:
    """Return the rule for ``layer_norm(x, weight, bias)`` over the last axis.

    Zeros as the bias are none.
    """

    def rule(call: relax.Call, scope: Scope) -> relax.Expr | None:
        x, weight, bias = call.args
        if [int(axis) for axis in call.attrs.axes] not in ([-1], [x.ty.ndim - 1]):
            return None
        *leading, hidden = x.ty.shape
        epsilon = float(call.attrs.epsilon)
        learnt = _learnt(weight, bias, scope)
        biased = len(learnt) == 2
        key = ("layer_norm", *sizes_of(x), dtype_of(x), epsilon, biased)
        options = (target, leading, int(hidden), dtype_of(x), epsilon)
        kernel = scope.kernel(
            key, "layer_norm", lambda: layer_norm(*options, biased=biased)
        )
        return relax.call_tir(kernel, relax.Tuple([x, *learnt]), call.ty)

    return rule


def group_norm_rule(target: Target) -> Rule:
    """Return the rule for ``group_norm(x, weight, bias)``, parts of the last axis.

    Zeros as the bias are none.
    """

    def rule(call: relax.Call, scope: Scope) -> relax.Expr | None:
        x, weight, bias = call.args
        attrs = call.attrs
        if int(attrs.channel_axis) not in (-1, x.ty.ndim - 1) or len(attrs.axes):
            return None
        *leading, channels = x.ty.shape
        groups, epsilon = int(attrs.num_groups), float(attrs.epsilon)
        width = int(channels) // groups
        options = (target, leading, groups, width, dtype_of(x), epsilon)
        learnt = _learnt(weight, bias, scope)
        biased = len(learnt) == 2
        key = ("group_norm", *sizes_of(x), groups, dtype_of(x), epsilon, biased)
        kernel = scope.kernel(
            key, "group_norm", lambda: group_norm(*options, biased=biased)
        )
        parts = [scope.reshape(each, (groups, width)) for each in learnt]
        grouped = scope.reshape(x, relax.ShapeExpr([*leading, groups, width]))
        out = relax.TensorType((*leading, groups, width), dtype_of(call))
        normal = relax.call_tir(kernel, relax.Tuple([grouped, *parts]), out)
        return scope.reshape(scope.emit(normal), call.ty.shape)

    return rule


def _learnt(weight: relax.Expr, bias: relax.Expr, scope: Scope) -> list[relax.Expr]:
    """Return what is learnt, the bias only if there is one."""
    absent = scope.operands(bias, "relax.zeros") is not None
    return [weight] if absent else [weight, bias]
