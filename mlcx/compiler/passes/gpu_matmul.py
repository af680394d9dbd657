"""On GPUs, products with a stored weight: one kernel, for rows of any batch.

The weight is read as it lies and dequantized inside: its transposition is no kernel,
nor is it ever there as a whole. What follows a product, such as a bias, moves in front
of the reshape to the batch's shape, where it is fused.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from tvm import relax, tirx
from tvm.relax.transform import FuseTIR

from mlcx.compiler.kernels.gpu.matmul import nt_matmul
from mlcx.compiler.passes.dispatch import Rule, Scope, dtype_of

__all__ = ["bias_rule", "nt_matmul_rule"]

_DEQUANTIZE = "dequantize"
"""What the functions are called that quantized layers compute their weights by."""

_OUT_ELEMENTWISE_FUSIBLE = 4
"""The ``op_pattern`` of products."""


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
        name, dequantize, stored = _stored(weight, scope)
        kernel = scope.kernel(
            (name, count, n, k, dtypes),
            f"{name}_matmul",
            lambda: _kernel(nt_matmul(count, n, k, dtypes), dequantize, stored),
        )
        flat = scope.reshape(x, relax.ShapeExpr([rows, k]))
        out = relax.TensorType((rows, n), dtypes[2])
        product = relax.call_tir(kernel, relax.Tuple([flat, *stored]), out)
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


def _stored(
    weight: relax.Expr, scope: Scope
) -> tuple[str, tirx.PrimFunc | None, list[relax.Expr]]:
    """Return a name, what dequantizes a weight, if it is, and the tensors of it."""
    arguments = scope.operands(weight, "relax.call_tir")
    if arguments is None or not arguments[0].name_hint.startswith(_DEQUANTIZE):
        return "nt", None, [weight]
    name = str(arguments[0].name_hint)
    return name, scope.module[arguments[0]], list(arguments[1].fields)


def _kernel(
    product: tirx.PrimFunc,
    dequantize: tirx.PrimFunc | None,
    stored: Sequence[relax.Expr],
) -> tirx.PrimFunc:
    """Return the product by itself, or of what ``dequantize`` makes of ``stored``."""
    if dequantize is None:
        return product
    builder = relax.BlockBuilder()
    first = builder.add_func(dequantize.without_attr("global_symbol"), _DEQUANTIZE)
    second = builder.add_func(product.without_attr("global_symbol"), "product")
    x, weight, out = (_type_of(each) for each in _buffers(product))
    given = [relax.Var("x", x)]
    given += [relax.Var(f"stored{i}", each.ty) for i, each in enumerate(stored)]
    with builder.function("both", given, {"Primitive": True}):
        with builder.dataflow():
            made = builder.emit(relax.call_tir(first, relax.Tuple(given[1:]), weight))
            value = relax.call_tir(second, relax.Tuple([given[0], made]), out)
            result = builder.emit_output(value)
        builder.emit_func_output(result)
    return _only_kernel(builder, given)


def _only_kernel(builder: relax.BlockBuilder, given: list[relax.Var]) -> tirx.PrimFunc:
    """Return the function ``both`` as one kernel."""
    both = builder.get().get_global_var("both")
    fresh = [relax.Var(each.name, each.ty) for each in given]
    with builder.function("main", fresh):
        with builder.dataflow():
            result = builder.emit_output(relax.Call(both, fresh))
        builder.emit_func_output(result)
    fused = FuseTIR()(builder.finalize())["both"]
    return fused.with_attr("op_pattern", _OUT_ELEMENTWISE_FUSIBLE)


def _buffers(function: tirx.PrimFunc) -> list[tirx.Buffer]:
    return list(function.params)


def _type_of(buffer: tirx.Buffer) -> relax.TensorType:
    return relax.TensorType(list(buffer.shape), buffer.dtype)
