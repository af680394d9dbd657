"""What captured graphs work in can be allocated ahead, by the name engines call."""

import pytest
import tvm
from tvm import ir, relax
from tvm.script import ir as I
from tvm.script import relax as R

from mlcx.compiler.passes.attach_bounds import AttachBounds
from mlcx.compiler.passes.attach_capture import AttachCapture
from mlcx.compiler.passes.attach_graph_allocations import AttachGraphAllocations


@I.ir_module
class Two:
    """A function that is captured, and one of a name that is not."""

    @R.function
    def batch_decode(
        x: R.Tensor(("batch_size", 8), "float32"), w: R.Tensor((8, 8), "float32")
    ) -> R.Tensor(("batch_size", 8), "float32"):
        R.func_attr({"num_input": 1})
        with R.dataflow():
            a = R.matmul(x, w)
            b = R.matmul(a, w)
            c = R.matmul(b, w)
            R.output(c)
        return c


def planned(function: str) -> tvm.IRModule:
    """Return the module with its function called so, memory planned."""
    renamed = tvm.IRModule(
        {function: Two["batch_decode"].with_attr("global_symbol", function)}
    )
    passes = (
        AttachCapture(),
        AttachBounds({"batch_size": 4} if function == "batch_decode" else {}),
        relax.transform.LegalizeOps(),
        relax.transform.ToNonDataflow(),
        relax.transform.RemovePurityChecking(),
        relax.transform.CallTIRRewrite(),
        relax.transform.StaticPlanBlockMemory(),
        relax.transform.RewriteCUDAGraph(),
        AttachGraphAllocations(),
    )
    config = {"relax.backend.use_cuda_graph": True}
    with tvm.transform.PassContext(opt_level=3, config=config):
        return tvm.transform.Sequential(passes)(renamed)


def calls(function: relax.Function, name: str) -> list[tuple[str, int]]:
    """Return function and index of all calls of the runtime's ``name``."""
    found: list[tuple[str, int]] = []

    def visit(call: object) -> None:
        if not isinstance(call, relax.Call) or not isinstance(call.op, ir.Op):
            return
        if call.op.name == "relax.call_builtin_with_ctx":
            builtin, given = call.args
            if builtin.global_symbol == name:
                called, *_, index = list(given.fields)[:4]
                index = given.fields[1] if name.endswith("alloc") else given.fields[2]
                found.append((called.name_hint, int(index)))

    relax.analysis.post_order_visit(function, visit)
    return found


def test_the_memory_of_graphs_is_what_the_steps_ask_for() -> None:
    mod = planned("batch_decode")
    name = "vm.builtin.cuda_graph.get_cached_alloc"
    init = mod["cuda_graph_alloc_init"]
    assert init.params == []
    assert calls(init, name) == calls(mod["batch_decode"], name)
    assert calls(init, name) == [("cuda_graph_alloc", 0)]


def test_the_captured_function_is_launched_as_a_whole() -> None:
    mod = planned("batch_decode")
    (captured,) = calls(mod["batch_decode"], "vm.builtin.cuda_graph.run_or_capture")
    assert captured[0] in {var.name_hint for var in mod.get_global_vars()}


@pytest.mark.parametrize("function", ["prefill", "embed"])
def test_without_a_graph_there_is_nothing_to_allocate(function: str) -> None:
    names = {var.name_hint for var in planned(function).get_global_vars()}
    assert "cuda_graph_alloc_init" not in names
