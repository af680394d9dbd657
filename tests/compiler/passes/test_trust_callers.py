"""Checks of arguments: gone where the graph calls, kept where a program may."""

from collections.abc import Callable

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.script import tirx as T

from mlcx.compiler.passes.trust_callers import PIPELINE, TRUSTS, TrustCallers

from .built_module import tensors


def times(factor: float) -> tvm.tirx.PrimFunc:
    """Return the kernel that multiplies by ``factor``."""

    @T.prim_func(s_tir=True)
    def kernel(x: T.Buffer((4,), "float32"), out: T.Buffer((4,), "float32")):
        for i in range(4):
            with T.sblock("times"):
                at = T.axis.spatial(4, i)
                out[at] = x[at] * T.float32(factor)

    return kernel


double, triple = times(2), times(3)


@pytest.fixture(scope="module")
def executable() -> relax.VMExecutable:
    """A graph that calls one kernel, beside one that it does not call."""
    builder = relax.BlockBuilder()
    called = builder.add_func(double, "called")
    builder.add_func(triple, "alone")
    x = relax.Var("x", relax.TensorType([4], "float32"))
    with builder.function("main", [x]):
        out = relax.call_tir(called, [x], relax.TensorType([4], "float32"))
        builder.emit_func_output(builder.emit(out))
    lowering = [
        relax.transform.CallTIRRewrite(),
        relax.transform.LowerAllocTensor(),
        relax.transform.LowerRuntimeBuiltin(),
        relax.transform.VMShapeLower(),
        relax.transform.AttachGlobalSymbol(),
        TrustCallers(),
    ]
    module = tvm.ir.transform.Sequential(lowering)(builder.get())
    return relax.build(
        module, target="llvm", relax_pipeline=None, tir_pipeline=PIPELINE
    )


@pytest.fixture(scope="module")
def lookup(executable: relax.VMExecutable) -> Callable[[str], Callable]:
    """What finds a function in the virtual machine's module."""
    machine = relax.VirtualMachine(executable, tvm.cpu())
    return lambda name: machine.module.get_function(name, query_imports=True)


def test_both_kernels_compute(lookup: Callable[[str], Callable]) -> None:
    (x,) = tensors(np.arange(4, dtype="float32"))
    assert lookup("main")(x).numpy().tolist() == [0, 2, 4, 6]
    (out,) = tensors(np.zeros(4, "float32"))
    lookup("alone")(x, out)
    assert out.numpy().tolist() == [0, 3, 6, 9]


def test_only_the_kernel_that_nobody_calls_has_sentences_for_wrong_arguments(
    executable: relax.VMExecutable,
) -> None:
    text = executable.mod.imports[0].inspect_source("ll")
    assert "alone(x: Tensor([4], float32)" in text
    assert "called(x: Tensor([4], float32)" not in text


def test_a_program_that_passes_a_wrong_shape_is_told(
    lookup: Callable[[str], Callable],
) -> None:
    small, right = tensors(np.zeros(3, "float32"), np.zeros(4, "float32"))
    with pytest.raises(ValueError, match=r"x\.shape\[0\]"):
        lookup("alone")(small, right)


def test_the_graph_checks_what_its_kernels_do_not(
    lookup: Callable[[str], Callable],
) -> None:
    (small,) = tensors(np.zeros(3, "float32"))
    with pytest.raises(Exception, match="shape"):
        lookup("main")(small)


def test_the_order_of_kernels_is_that_of_their_calls() -> None:
    """And not that of their addresses: kernels are written down in this order."""
    builder = relax.BlockBuilder()
    names = [f"kernel{number * 7 % 20}" for number in range(20)]
    # Equal functions would be one.
    called = [builder.add_func(double.with_attr("is", n), n) for n in sorted(names)]
    x = relax.Var("x", relax.TensorType([4], "float32"))
    with builder.function("main", [x]):
        out: relax.Expr = x
        for each in sorted(called, key=lambda each: names.index(each.name_hint)):
            out = builder.emit(relax.call_tir(each, [out], x.ty))
        builder.emit_func_output(out)
    module = TrustCallers()(relax.transform.CallTIRRewrite()(builder.get()))
    found = [name.name_hint for name in module.functions]
    assert [name for name in found if name in names] == names


def test_a_kernel_that_is_handed_to_the_runtime_is_called_with_what_that_has() -> None:
    builder = relax.BlockBuilder()
    names = [
        builder.add_func(each, name) for each, name in ((double, "a"), (triple, "b"))
    ]
    x = relax.Var("x", relax.TensorType([4], "float32"))
    with builder.function("main", [x]):
        for name in names:
            out = relax.call_tir(name, [x], relax.TensorType([4], "float32"))
            last = builder.emit(out)
        builder.emit(
            relax.call_pure_packed("create", names[1], ty_args=relax.AnyType())
        )
        builder.emit_func_output(last)
    module = relax.transform.CallTIRRewrite()(builder.get())
    marked = TrustCallers()(module)
    found = {name: bool(marked[name].attrs.get(TRUSTS)) for name in ("a", "b")}
    assert found == {"a": True, "b": False}
