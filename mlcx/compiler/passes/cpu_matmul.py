"""On the CPU, products with a stored weight: dequantized inside the kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, TypeAlias

from tvm import relax, tirx
from tvm.target import Target

from mlcx.compiler.kernels.cpu.matmul import matmul, serves_any
from mlcx.compiler.kernels.cpu.weights import (
    Float8,
    GroupQuantized,
    Plain,
    WeightFormat,
    WordsOfColumns,
)
from mlcx.compiler.passes.dispatch import Rule, Scope, dtype_of
from mlcx.quant.awq import SHIFTS
from mlcx.quant.awq_layers import AWQ_GROUP_SIZE
from mlcx.quant.fp8_layers import BLOCK_COLUMNS, BLOCK_ROWS
from mlcx.quant.layers import BITS, GROUP_SIZE, LAYOUT

__all__ = ["matmul_rule", "stored"]

_Attributes: TypeAlias = Mapping[str, Any]
_Stored: TypeAlias = Sequence[relax.Expr]


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
        width = "columns" if serves_any(target, fmt, n) else n
        kernel = scope.kernel(
            ("matmul", fmt, count, width, k, dtypes),
            "matmul",
            lambda: matmul(target, fmt, [count], width, k, *dtypes),
        )
        flat = scope.reshape(x, relax.ShapeExpr([rows, k]))
        out = relax.TensorType((rows, n), dtypes[1])
        product = relax.call_tir(kernel, relax.Tuple([flat, *tensors]), out)
        return scope.reshape(scope.emit(product), call.ty.shape)

    return rule


def stored(weight: relax.Expr, scope: Scope) -> tuple[WeightFormat, list[relax.Expr]]:
    """Return how the weight lies in memory, and the tensors that hold it.

    What kernels do not read is dequantized before, all of it.
    """
    arguments = scope.operands(weight, "relax.call_tir")
    function = None if arguments is None else scope.module[arguments[0]]
    attrs = {} if function is None else dict(function.attrs or {})
    read = next((make for mark, make in _FORMATS.items() if mark in attrs), None)
    if arguments is None or read is None:
        return Plain(dtype_of(weight)), [weight]
    tensors = list(arguments[1].fields)
    return read(attrs, tensors), tensors


def _group(attrs: _Attributes, tensors: _Stored) -> WeightFormat:
    bits, size = int(attrs[BITS]), int(attrs[GROUP_SIZE])
    return GroupQuantized(bits, size, dtype_of(tensors[1]), attrs[LAYOUT] == "KN")


def _float8(attrs: _Attributes, tensors: _Stored) -> WeightFormat:
    rows, columns = int(attrs[BLOCK_ROWS]), int(attrs[BLOCK_COLUMNS])
    return Float8(dtype_of(tensors[0]), len(tensors) > 1, rows, columns)


def _awq(attrs: _Attributes, tensors: _Stored) -> WeightFormat:
    return WordsOfColumns(SHIFTS, int(attrs[AWQ_GROUP_SIZE]), dtype_of(tensors[2]))


_FORMATS: dict[str, Callable[[_Attributes, _Stored], WeightFormat]] = {
    BITS: _group,
    BLOCK_ROWS: _float8,
    AWQ_GROUP_SIZE: _awq,
}
"""An attribute of a dequantizing function to what reads the format of its others."""
