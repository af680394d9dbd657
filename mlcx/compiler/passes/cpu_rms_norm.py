"""On the CPU, RMSNorm as one kernel, together with the residual sum before it."""

from __future__ import annotations

from tvm import relax
from tvm.target import Target

from mlcx.compiler.kernels.cpu.rms_norm import add_rms_norm, rms_norm
from mlcx.compiler.passes.dispatch import Rule, Scope, dtype_of, sizes_of

__all__ = ["rms_norm_rule"]


def rms_norm_rule(target: Target) -> Rule:
    """Return the rule for ``rms_norm(x, weight)`` over the last axis.

    When x is a sum of two tensors of one shape, that sum comes out of the kernel too,
    and later uses of it read it from there.
    """

    def rule(call: relax.Call, scope: Scope) -> relax.Expr | None:
        x, weight = call.args
        *leading, hidden = x.ty.shape
        epsilon = float(call.attrs.epsilon)
        key = (*sizes_of(x), dtype_of(x), epsilon)
        options = (target, leading, int(hidden), dtype_of(x), epsilon)
        terms = scope.operands(x, "relax.add")
        if terms is None or sizes_of(terms[0]) != sizes_of(terms[1]):
            name = "rms_norm"
            kernel = scope.kernel((name, *key), name, lambda: rms_norm(*options))
            return relax.call_tir(kernel, relax.Tuple([x, weight]), call.ty)
        name = "add_rms_norm"
        kernel = scope.kernel((name, *key), name, lambda: add_rms_norm(*options))
        arguments = relax.Tuple([*terms, weight])
        both = scope.emit(relax.call_tir(kernel, arguments, [x.ty, call.ty]))
        scope.replace(x, scope.emit(relax.TupleGetItem(both, 0)))
        return relax.TupleGetItem(both, 1)

    return rule
