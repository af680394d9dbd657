"""On the CPU, products with a matrix that is stored as it is multiplied."""

from __future__ import annotations

from tvm import relax, tirx
from tvm.target import Target

from mlcx.compiler.kernels.cpu.matrix import matrix_product
from mlcx.compiler.passes.dispatch import Rule, Scope, dtype_of

__all__ = ["matrix_rule"]


def matrix_rule(target: Target) -> Rule:
    """Return the rule for ``matmul(x, weight)`` with a parameter as the weight.

    The shapes are (s, k) and (k, n), or of as many parts each (g, s, k) and (g, k, n).
    """

    def rule(call: relax.Call, scope: Scope) -> relax.Expr | None:
        x, weight = call.args
        dtype = dtype_of(x)
        known = all(isinstance(size, tirx.IntImm) for size in weight.ty.shape)
        same = dtype == dtype_of(weight) == dtype_of(call)
        if not (known and same and x.ty.ndim == weight.ty.ndim in (2, 3)):
            return None
        *outer, k, n = (int(size) for size in weight.ty.shape)
        rows = x.ty.shape[-2]
        parts = outer[0] if outer else 1
        kernel = scope.kernel(
            ("matrix", parts, k, n, dtype),
            "matrix_product",
            lambda: matrix_product(target, parts, k, n, dtype),
        )
        arguments = [
            scope.reshape(x, relax.ShapeExpr([parts, rows, k])),
            scope.reshape(weight, relax.ShapeExpr([parts, k, n])),
        ]
        out = relax.TensorType((parts, rows, n), dtype)
        product = relax.call_tir(kernel, relax.Tuple(arguments), out)
        return scope.reshape(scope.emit(product), call.ty.shape)

    return rule
