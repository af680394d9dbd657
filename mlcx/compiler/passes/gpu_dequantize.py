"""On GPUs, dequantization inside the kernel that reads the weight.

The generic fusion keeps them apart, as a product reads an element of the weight more
than once. But a weight that is there as a whole costs more than it saves.
"""

from __future__ import annotations

from dataclasses import dataclass

from tvm import relax, tirx
from tvm.relax.transform import FuseTIR

from mlcx.compiler.passes.dispatch import Scope

__all__ = ["Stored", "dequantizing", "stored"]

_DEQUANTIZE = "dequantize"
"""What the functions are called that quantized layers compute their weights by."""

_OUT_ELEMENTWISE_FUSIBLE = 4
"""The ``op_pattern`` of products."""


@dataclass(frozen=True)
class Stored:
    """A weight as it lies in memory."""

    name: str
    """Of the function that dequantizes it; ``plain`` if none does."""
    function: tirx.PrimFunc | None
    tensors: list[relax.Expr]


def stored(weight: relax.Expr, scope: Scope) -> Stored:
    """Return what ``weight`` is made of, or itself."""
    arguments = scope.operands(weight, "relax.call_tir")
    if arguments is None or not arguments[0].name_hint.startswith(_DEQUANTIZE):
        return Stored("plain", None, [weight])
    name = str(arguments[0].name_hint)
    return Stored(name, scope.module[arguments[0]], list(arguments[1].fields))


def dequantizing(product: tirx.PrimFunc, at: int, weight: Stored) -> tirx.PrimFunc:
    """Return ``product`` that reads ``weight`` as stored in place of argument ``at``.

    The last argument of ``product`` is its result.
    """
    if weight.function is None:
        return product
    builder = relax.BlockBuilder()
    first = builder.add_func(weight.function.without_attr("global_symbol"), "first")
    second = builder.add_func(product.without_attr("global_symbol"), "second")
    *inputs, out = (_type_of(each) for each in product.params)
    parts = [each.ty for each in weight.tensors]
    types = [*inputs[:at], *parts, *inputs[at + 1 :]]
    given = [relax.Var(f"x{i}", each) for i, each in enumerate(types)]
    after = at + len(parts)
    with builder.function("both", given, {"Primitive": True}):
        with builder.dataflow():
            tensors = relax.Tuple(given[at:after])
            made = builder.emit(relax.call_tir(first, tensors, inputs[at]))
            arguments = relax.Tuple([*given[:at], made, *given[after:]])
            value = relax.call_tir(second, arguments, out)
            result = builder.emit_output(value)
        builder.emit_func_output(result)
    return _only_kernel(builder, types)


def _only_kernel(
    builder: relax.BlockBuilder, types: list[relax.TensorType]
) -> tirx.PrimFunc:
    """Return the function ``both`` as one kernel."""
    both = builder.get().get_global_var("both")
    given = [relax.Var(f"x{i}", each) for i, each in enumerate(types)]
    with builder.function("main", given):
        with builder.dataflow():
            result = builder.emit_output(relax.Call(both, given))
        builder.emit_func_output(result)
    fused = FuseTIR()(builder.finalize())["both"]
    return fused.with_attr("op_pattern", _OUT_ELEMENTWISE_FUSIBLE)


def _type_of(buffer: tirx.Buffer) -> relax.TensorType:
    return relax.TensorType(list(buffer.shape), buffer.dtype)
