"""On the CPU, products with a stored weight: dequantized inside the kernel."""

from __future__ import annotations

from math import prod

from tvm import relax, tirx
from tvm.target import Target

from mlcx.compiler.kernels.cpu.matmul import matmul
from mlcx.compiler.kernels.cpu.weights import GroupQuantized, Plain, WeightFormat
from mlcx.compiler.passes.dispatch import Rule, Scope, dtype_of
from mlcx.quant.layers import BITS, GROUP_SIZE, LAYOUT

__all__ = ["matmul_rule", "stored"]


def matmul_rule(target: Target) -> Rule:
    """Return the rule for ``matmul(x, permute_dims(weight))``.

    ``weight`` (N, K) is a parameter, or the result of a dequantizing function; then
    the kernel reads what that function read.
    """

    def rule(call: relax.Call, scope: Scope) -> relax.Expr | None:
        transposed = scope.operands(call.args[1], "relax.permute_dims")
        if transposed is None or transposed[0].ty.ndim != 2:
            return None
        x, weight = call.args[0], transposed[0]
        fmt, tensors = stored(weight, scope)
        n, k = (int(size) for size in weight.ty.shape)
        dtypes = (dtype_of(x), dtype_of(call))
        # One kernel serves every shape of as many rows: (1, s), (b, 1) and (s,).
        rows = prod(list(x.ty.shape)[:-1])
        count = int(rows) if isinstance(rows, tirx.IntImm | int) else "rows"
        kernel = scope.kernel(
            ("matmul", fmt, count, n, k, dtypes),
            "matmul",
            lambda: matmul(target, fmt, [count], n, k, *dtypes),
        )
        flat = scope.reshape(x, relax.ShapeExpr([rows, k]))
        out = relax.TensorType((rows, n), dtypes[1])
        product = relax.call_tir(kernel, relax.Tuple([flat, *tensors]), out)
        return scope.reshape(scope.emit(product), call.ty.shape)

    return rule


def stored(weight: relax.Expr, scope: Scope) -> tuple[WeightFormat, list[relax.Expr]]:
    """Return how the weight lies in memory, and the tensors that hold it."""
    arguments = scope.operands(weight, "relax.call_tir")
    if arguments is None:
        return Plain(dtype_of(weight)), [weight]
    attrs = scope.module[arguments[0]].attrs
    assert attrs is not None, "not a dequantizing function"
    bits, size, layout = (attrs[name] for name in (BITS, GROUP_SIZE, LAYOUT))
    fmt = GroupQuantized(int(bits), int(size), dtype_of(weight), layout == "KN")
    return fmt, list(arguments[1].fields)
