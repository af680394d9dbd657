"""On GPUs, mixtures of experts: one kernel for each placeholder."""

from __future__ import annotations

import tvm_ffi
from tvm import relax, tirx
from tvm.s_tir import dlight
from tvm.target import Target

from mlcx.compiler.kernels.gpu.moe import combination, pairs_matmul, routing
from mlcx.compiler.passes.dispatch import Rule, Scope, dtype_of, of_symbols
from mlcx.compiler.passes.gpu_dequantize import dequantizing, stored
from mlcx.compiler.passes.moe import Lower, combine, routes
from mlcx.nn.moe import COMBINE, EXPERTS

__all__ = ["gpu_moe_rule"]

_OPAQUE = 8
"""The ``op_pattern`` of what nothing is fused to."""


def gpu_moe_rule(target: Target) -> Rule:
    """Return the rule for calls of the placeholders in ``nn/moe.py``."""
    return of_symbols(
        {
            **routes(routing),
            EXPERTS: _experts(target),
            COMBINE: combine(combination),
        }
    )


def _experts(target: Target) -> Lower:
    def rule(call: relax.Call, scope: Scope) -> relax.Expr:
        order, _, x, weight = call.args[1].fields
        tokens, chosen = order.ty.shape
        count = int(tokens) if isinstance(tokens, tirx.IntImm) else None
        experts, n, k = (int(size) for size in weight.ty.shape)
        spread = bool(tvm_ffi.structural_equal(x.ty.shape[0], tokens))
        dtypes = (dtype_of(x), dtype_of(weight), dtype_of(call))
        options = (count, int(chosen), (experts, n, k), spread, dtypes)
        source = stored(weight, scope)
        kernel = scope.kernel(
            (EXPERTS, source.name, *options),
            "moe_experts",
            lambda: _scheduled(dequantizing(pairs_matmul(*options), 2, source), target),
        )
        arguments = relax.Tuple([x, order, *source.tensors])
        return relax.call_tir(kernel, arguments, call.ty)

    return rule


def _scheduled(product: tirx.PrimFunc, target: Target) -> tirx.PrimFunc:
    """Return ``product`` with a block of threads for each of its elements.

    The rules for products of matrices would not see that each row has its own.
    """
    rules = (dlight.gpu.Reduction(), dlight.gpu.Fallback())
    schedules = (rule.apply(product, target, False) for rule in rules)
    chosen = next(each for each in schedules if each is not None)
    attrs = {"tirx.is_scheduled": True, "op_pattern": _OPAQUE}
    return chosen.mod["main"].with_attr(attrs)
