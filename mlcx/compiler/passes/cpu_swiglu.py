"""On the CPU, ``silu(gate) * up`` of a fused gate and up in one vectorized kernel."""

from __future__ import annotations

from tvm import relax
from tvm.target import Target

from mlcx.compiler.kernels.cpu.swiglu import swiglu
from mlcx.compiler.passes.dispatch import Rule, Scope, dtype_of, sizes_of

__all__ = ["swiglu_rule"]


def swiglu_rule(target: Target) -> Rule:
    """Return the rule for ``silu(split(x)[0]) * split(x)[1]``, x split in halves."""

    def rule(call: relax.Call, scope: Scope) -> relax.Expr | None:
        activated = scope.operands(call.args[0], "relax.nn.silu")
        if activated is None:
            return None
        gate, up = _part(activated[0], 0, scope), _part(call.args[1], 1, scope)
        if gate is None or up is None or not gate.same_as(up):
            return None
        *leading, width = gate.ty.shape
        options = (target, leading, int(width) // 2, dtype_of(gate))
        key = ("swiglu", *sizes_of(gate), dtype_of(gate))
        kernel = scope.kernel(key, "swiglu", lambda: swiglu(*options))
        return relax.call_tir(kernel, relax.Tuple([gate]), call.ty)

    return rule


def _part(expr: relax.Expr, index: int, scope: Scope) -> relax.Expr | None:
    """Return what was split in halves when ``expr`` is half ``index``."""
    part = scope.value_of(expr)
    if not isinstance(part, relax.TupleGetItem) or part.index != index:
        return None
    whole = scope.operands(part.tuple_value, "relax.split")
    return None if whole is None else whole[0]
