"""RMSNorm as one kernel, together with the residual sum before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from tvm import relax, tirx
from tvm.ir import Expr
from tvm.target import Target

from mlcx.compiler.kernels.cpu import rms_norm as cpu
from mlcx.compiler.kernels.gpu import rms_norm as gpu
from mlcx.compiler.passes.dispatch import Rule, Scope, dtype_of, sizes_of

__all__ = ["rms_norm_rule"]

_Maker = Callable[[Sequence[Expr | int], int, str, float], tirx.PrimFunc]


def rms_norm_rule(target: Target) -> Rule:
    """Return the rule for ``rms_norm(x, weight)`` over the last axis.

    When x is a sum of two tensors of one shape, that sum comes out of the kernel too,
    and later uses of it read it from there.
    """
    plain, with_sum = _makers(target)

    def rule(call: relax.Call, scope: Scope) -> relax.Expr | None:
        x, weight = call.args
        *leading, hidden = x.ty.shape
        epsilon = float(call.attrs.epsilon)
        key = (*sizes_of(x), dtype_of(x), epsilon)
        options = (leading, int(hidden), dtype_of(x), epsilon)
        terms = scope.operands(x, "relax.add")
        if terms is None or sizes_of(terms[0]) != sizes_of(terms[1]):
            name = "rms_norm"
            kernel = scope.kernel((name, *key), name, lambda: plain(*options))
            return relax.call_tir(kernel, relax.Tuple([x, weight]), call.ty)
        name = "add_rms_norm"
        kernel = scope.kernel((name, *key), name, lambda: with_sum(*options))
        arguments = relax.Tuple([*terms, weight])
        both = scope.emit(relax.call_tir(kernel, arguments, [x.ty, call.ty]))
        scope.replace(x, scope.emit(relax.TupleGetItem(both, 0)))
        return relax.TupleGetItem(both, 1)

    return rule


def _makers(target: Target) -> tuple[_Maker, _Maker]:
    """Return what makes the kernels without and with the sum."""
    if target.kind.name == "llvm":
        return partial(cpu.rms_norm, target), partial(cpu.add_rms_norm, target)
    return gpu.rms_norm, gpu.add_rms_norm
