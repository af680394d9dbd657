"""On GPUs, products with a stored weight: one kernel, for rows of any batch.

The weight is read as it lies and dequantized inside: its transposition is no kernel,
nor is it ever there as a whole. What follows a product, such as a bias, moves in front
of the reshape to the batch's shape, where it is fused.
"""

from __future__ import annotations

from math import prod

from tvm import relax, tirx

from mlcx.compiler.kernels.gpu.matmul import nt_matmul
from mlcx.compiler.passes.dispatch import Rule, Scope, dtype_of
from mlcx.compiler.passes.gpu_dequantize import dequantizing, stored

__all__ = ["bias_rule", "nt_matmul_rule"]


def nt_matmul_rule() -> Rule:
    """Return the rule for ``matmul(x, permute_dims(weight))``, weight (N, K)."""

    def rule(call: relax.Call, scope: Scope) -> relax.Expr | None:
        transposed = scope.operands(call.args[1], "relax.permute_dims")
        if transposed is None or transposed[0].ty.ndim != 2:
            return None
        x, weight = call.args[0], transposed[0]
        n, k = (int(size) for size in weight.ty.shape)
        dtypes = (dtype_of(x), dtype_of(weight), dtype_of(call))
        # One kernel serves every shape of as many rows: (1, s), (b, 1) and (s,).
        rows = prod(list(x.ty.shape)[:-1])
        count = int(rows) if isinstance(rows, tirx.IntImm | int) else None
        source = stored(weight, scope)
        kernel = scope.kernel(
            (source.name, count, n, k, dtypes),
            f"{source.name}_matmul",
            lambda: dequantizing(nt_matmul(count, n, k, dtypes), 1, source),
        )
        flat = scope.reshape(x, relax.ShapeExpr([rows, k]))
        out = relax.TensorType((rows, n), dtypes[2])
        product = relax.call_tir(kernel, relax.Tuple([flat, *source.tensors]), out)
        return scope.reshape(scope.emit(product), call.ty.shape)

    return rule


def bias_rule() -> Rule:
    """Return the rule for ``reshape(x) + bias``, x (rows, N) and bias (N,)."""

    def rule(call: relax.Call, scope: Scope) -> relax.Expr | None:
        value, bias = call.args
        inner = scope.operands(value, "relax.reshape")
        if inner is None or bias.ty.ndim != 1 or inner[0].ty.ndim != 2:
            return None
        # Otherwise the addition would be along another axis.
        if int(inner[0].ty.shape[-1]) != int(bias.ty.shape[0]):
            return None
        added = scope.emit(relax.op.add(inner[0], bias))
        return scope.reshape(added, call.ty.shape)

    return rule
