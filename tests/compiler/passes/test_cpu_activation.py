"""Which activations get a kernel, and which one."""

from collections.abc import Callable

import pytest
import tvm
from tvm import relax

from mlcx.compiler.passes.cpu_activation import activation_rules
from mlcx.compiler.passes.cpu_layer_norm import layer_norm_rule
from mlcx.compiler.passes.dispatch import Dispatch
from mlcx.compiler.targets import target_of

Emit = Callable[[relax.BlockBuilder, relax.Var], relax.Expr]
OPERATORS = {
    "silu": relax.op.nn.silu,
    "gelu": relax.op.nn.gelu,
    "gelu_tanh": relax.op.nn.gelu_tanh,
}
functions = pytest.mark.parametrize("function", OPERATORS)


def called(emit: Emit) -> list[str]:
    """Return what ``main(x (s, 12))`` calls once rules are applied to ``emit``'s."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType([tvm.tirx.Var("s", "int64"), 12], "float16"))
    with builder.function("main", [x]):
        with builder.dataflow():
            out = builder.emit_output(emit(builder, x))
        builder.emit_func_output(out)
    target = target_of("cpu")
    rules = {
        **activation_rules(target),
        "relax.nn.layer_norm": layer_norm_rule(target),
    }
    mod = relax.transform.DeadCodeElimination()(Dispatch(rules)(builder.get()))
    values = [binding.value for binding in mod["main"].body.blocks[0].bindings]
    calls = [value for value in values if isinstance(value, relax.Call)]
    return [
        str(call.args[0].name_hint if "call_tir" in call.op.name else call.op.name)
        for call in calls
    ]


@functions
def test_a_gated_activation_is_one_kernel(function: str) -> None:
    def emit(builder: relax.BlockBuilder, x: relax.Var) -> relax.Expr:
        halves = builder.emit(relax.op.split(x, 2, axis=-1))
        gate, up = (builder.emit(relax.TupleGetItem(halves, i)) for i in (0, 1))
        return relax.op.multiply(builder.emit(OPERATORS[function](gate)), up)

    assert called(emit) == [f"gated_{function}"]


@functions
def test_an_activation_alone_is_a_kernel(function: str) -> None:
    assert called(lambda _, x: OPERATORS[function](x)) == [function]


def test_a_product_that_is_no_gate_stays() -> None:
    def emit(builder: relax.BlockBuilder, x: relax.Var) -> relax.Expr:
        halves = builder.emit(relax.op.split(x, 2, axis=-1))
        gate, up = (builder.emit(relax.TupleGetItem(halves, i)) for i in (1, 0))
        return relax.op.multiply(builder.emit(relax.op.nn.silu(gate)), up)

    assert "gated_silu" not in called(emit)


@pytest.mark.parametrize(("axes", "kernel"), [([-1], "layer_norm"), ([0], None)])
def test_layers_are_normalized_by_a_kernel_along_the_last_axis(
    axes: list[int], kernel: str | None
) -> None:
    def emit(_: relax.BlockBuilder, x: relax.Var) -> relax.Expr:
        size = x.ty.shape[axes[0]]
        one = relax.op.ones((size,), "float16")
        return relax.op.nn.layer_norm(x, one, one, axes, 1e-5)

    assert (kernel or "relax.nn.layer_norm") in called(emit)
