"""On the CPU, mixtures of experts: one kernel for each placeholder."""

from __future__ import annotations

from collections.abc import Callable

import tvm_ffi
from tvm import relax, tirx
from tvm.target import Target

from mlcx.compiler.kernels.cpu.moe_combine import combination
from mlcx.compiler.kernels.cpu.moe_experts import Pairs, experts_matmul
from mlcx.compiler.kernels.cpu.moe_routing import routing
from mlcx.compiler.passes.cpu_matmul import stored
from mlcx.compiler.passes.dispatch import Rule, Scope, dtype_of, of_symbols
from mlcx.nn.moe import COMBINE, EXPERTS, ROUTE, ROUTE_NORMALIZED

__all__ = ["moe_rule"]

_Own = Callable[[relax.Call, Scope], relax.Expr]


def moe_rule(target: Target) -> Rule:
    """Return the rule for calls of the placeholders in ``nn/moe.py``."""
    return of_symbols(
        {
            ROUTE: _route(normalized=False),
            ROUTE_NORMALIZED: _route(normalized=True),
            EXPERTS: _experts(target),
            COMBINE: _combine(target),
        }
    )


def _route(*, normalized: bool) -> _Own:
    def rule(call: relax.Call, scope: Scope) -> relax.Expr:
        experts = int(call.args[1].fields[0].ty.shape[1])
        chosen = int(call.ty.fields[0].shape[1])
        kernel = scope.kernel(
            (ROUTE, experts, chosen, normalized),
            "moe_routing",
            lambda: routing(experts, chosen, normalized=normalized),
        )
        return relax.call_tir(kernel, call.args[1], list(call.ty.fields))

    return rule


def _experts(target: Target) -> _Own:
    def rule(call: relax.Call, scope: Scope) -> relax.Expr:
        order, starts, x, weight = call.args[1].fields
        tokens, chosen = order.ty.shape
        fmt, tensors = stored(weight, scope)
        experts, n, k = (int(size) for size in weight.ty.shape)
        pairs = Pairs(
            tokens=int(tokens) if isinstance(tokens, tirx.IntImm) else None,
            chosen=int(chosen),
            experts=experts,
            spread=tvm_ffi.structural_equal(x.ty.shape[0], tokens),
        )
        options = (fmt, pairs, n, k, (dtype_of(x), dtype_of(call)))
        kernel = scope.kernel(
            (EXPERTS, *options), "moe_experts", lambda: experts_matmul(target, *options)
        )
        arguments = relax.Tuple([order, starts, x, *tensors])
        return relax.call_tir(kernel, arguments, call.ty)

    return rule


def _combine(target: Target) -> _Own:
    def rule(call: relax.Call, scope: Scope) -> relax.Expr:
        weights, parts = call.args[1].fields
        options = (int(weights.ty.shape[1]), int(parts.ty.shape[1]), dtype_of(call))
        kernel = scope.kernel(
            (COMBINE, *options), "moe_combine", lambda: combination(target, *options)
        )
        return relax.call_tir(kernel, call.args[1], call.ty)

    return rule
