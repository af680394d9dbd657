"""On the CPU, mixtures of experts: one kernel for each placeholder."""

from __future__ import annotations

from functools import partial

import tvm_ffi
from tvm import relax, tirx
from tvm.target import Target

from mlcx.compiler.kernels.cpu.moe_combine import combination
from mlcx.compiler.kernels.cpu.moe_experts import Pairs, experts_matmul
from mlcx.compiler.kernels.cpu.moe_routing import routing
from mlcx.compiler.passes.cpu_matmul import stored
from mlcx.compiler.passes.dispatch import Rule, Scope, dtype_of, of_symbols
from mlcx.compiler.passes.moe import Lower, combine, routes
from mlcx.nn.moe import COMBINE, EXPERTS

__all__ = ["moe_rule"]


def moe_rule(target: Target) -> Rule:
    """Return the rule for calls of the placeholders in ``nn/moe.py``."""
    return of_symbols(
        {
            **routes(routing),
            EXPERTS: _experts(target),
            COMBINE: combine(partial(combination, target)),
        }
    )


def _experts(target: Target) -> Lower:
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
