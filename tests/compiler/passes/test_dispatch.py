"""Dispatch: rules see through variables, and answer with calls of kernels."""

import tvm
from tvm import relax

from mlcx.compiler.passes.dispatch import Dispatch, Scope, collapse_reshape, either


def module(emit: object) -> tvm.IRModule:
    """Return a module whose ``main(x (s, 6))`` is what ``emit(builder, x)`` returns."""
    builder = relax.BlockBuilder()
    s = tvm.tirx.Var("s", "int64")
    x = relax.Var("x", relax.TensorType([s, 6], "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            out = builder.emit_output(emit(builder, x))
        builder.emit_func_output(out)
    return builder.get()


def is_call(value: relax.Expr, operator: str) -> bool:
    """Say whether ``value`` is a call of ``operator``."""
    return isinstance(value, relax.Call) and value.op.name == operator


def values(mod: tvm.IRModule) -> list[str]:
    """Return the operators that ``main`` calls after dead code is gone."""
    mod = relax.transform.DeadCodeElimination()(mod)
    bindings = mod["main"].body.blocks[0].bindings
    return [b.value.op.name for b in bindings if isinstance(b.value, relax.Call)]


def test_reshapes_in_a_row_become_one() -> None:
    def emit(builder: relax.BlockBuilder, x: relax.Var) -> relax.Expr:
        s = x.ty.shape[0]
        once = builder.emit(relax.op.reshape(x, (s, 2, 3)))
        return relax.op.reshape(once, (s, 3, 2))

    mod = Dispatch({"relax.reshape": collapse_reshape})(module(emit))
    assert values(mod) == ["relax.reshape"]
    assert [int(size) for size in list(mod["main"].ret_ty.shape)[1:]] == [3, 2]


def test_reshapes_back_to_the_first_shape_vanish() -> None:
    def emit(builder: relax.BlockBuilder, x: relax.Var) -> relax.Expr:
        s = x.ty.shape[0]
        once = builder.emit(relax.op.reshape(x, (s, 2, 3)))
        back = builder.emit(relax.op.reshape(once, (s, 6)))
        return relax.op.negative(back)

    mod = Dispatch({"relax.reshape": collapse_reshape})(module(emit))
    assert values(mod) == ["relax.negative"]


def test_a_rule_may_replace_a_value_bound_before() -> None:
    """As when a kernel also returns the sum that it normalizes."""

    def rule(call: relax.Call, scope: Scope) -> relax.Expr | None:
        terms = scope.operands(call.args[0], "relax.add")
        assert terms is not None
        scope.replace(call.args[0], scope.emit(relax.op.multiply(*terms)))
        return None

    def emit(builder: relax.BlockBuilder, x: relax.Var) -> relax.Expr:
        total = builder.emit(relax.op.add(x, x))
        other = builder.emit(relax.op.exp(total))
        return relax.op.subtract(other, total)

    mod = Dispatch({"relax.exp": rule})(module(emit))
    bindings = mod["main"].body.blocks[0].bindings
    bound = {each.var.name: each.value for each in bindings}
    subtraction = next(v for v in bound.values() if is_call(v, "relax.subtract"))
    assert is_call(bound[subtraction.args[1].name], "relax.multiply")


def test_the_first_rule_with_an_answer_is_taken() -> None:
    asked: list[str] = []

    def answering(name: str, answer: str | None):
        return lambda *_: asked.append(name) or answer

    rule = either(answering("a", None), answering("b", "b"), answering("c", "c"))
    assert rule(None, None) == "b"
    assert asked == ["a", "b"]
    assert either(answering("a", None))(None, None) is None


def test_a_call_without_a_rule_stays() -> None:
    mod = Dispatch({})(module(lambda _, x: relax.op.exp(x)))
    assert values(mod) == ["relax.exp"]
