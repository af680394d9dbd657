"""On the CPU, activation functions as vectorized kernels, with their gate if gated."""

from __future__ import annotations

from tvm import relax
from tvm.target import Target

from mlcx.compiler.kernels.cpu.gated import gated
from mlcx.compiler.kernels.cpu.pointwise import FUNCTIONS, pointwise
from mlcx.compiler.passes.dispatch import Rule, Scope, dtype_of, sizes_of

__all__ = ["activation_rules"]


def activation_rules(target: Target) -> dict[str, Rule]:
    """Return the rules for gated activations, and for those that stand alone."""
    alone = {f"relax.nn.{name}": _alone(target, name) for name in FUNCTIONS}
    return alone | {"relax.multiply": _gated(target)}


def _gated(target: Target) -> Rule:
    """Return the rule for ``function(split(x)[0]) * split(x)[1]``, x in halves."""

    def rule(call: relax.Call, scope: Scope) -> relax.Expr | None:
        up = _half(call.args[1], 1, scope)
        for name in FUNCTIONS:
            activated = scope.operands(call.args[0], f"relax.nn.{name}")
            if up is None or activated is None:
                continue
            gate = _half(activated[0], 0, scope)
            if gate is not None and gate.same_as(up):
                return _kernel(target, name, gate, call, scope)
        return None

    return rule


def _kernel(
    target: Target, name: str, gate_up: relax.Expr, call: relax.Call, scope: Scope
) -> relax.Expr:
    *leading, width = gate_up.ty.shape
    options = (target, name, leading, int(width) // 2, dtype_of(gate_up))
    key = ("gated", name, *sizes_of(gate_up), dtype_of(gate_up))
    kernel = scope.kernel(key, f"gated_{name}", lambda: gated(*options))
    return relax.call_tir(kernel, relax.Tuple([gate_up]), call.ty)


def _alone(target: Target, name: str) -> Rule:
    """Return the rule for ``function(x)``, unless x is the half of something."""

    def rule(call: relax.Call, scope: Scope) -> relax.Expr | None:
        x = call.args[0]
        if _half(x, 0, scope) is not None:
            return None
        *leading, width = x.ty.shape
        options = (target, name, leading, int(width), dtype_of(x))
        key = (name, *sizes_of(x), dtype_of(x))
        kernel = scope.kernel(key, name, lambda: pointwise(*options))
        return relax.call_tir(kernel, relax.Tuple([x]), call.ty)

    return rule


def _half(expr: relax.Expr, index: int, scope: Scope) -> relax.Expr | None:
    """Return what was split in halves when ``expr`` is half ``index``."""
    part = scope.value_of(expr)
    if not isinstance(part, relax.TupleGetItem) or part.index != index:
        return None
    whole = scope.operands(part.tuple_value, "relax.split")
    return None if whole is None else whole[0]
