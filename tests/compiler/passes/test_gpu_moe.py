"""Kernels of mixtures of experts on GPUs: where their sums are."""

import json
from pathlib import Path

import tvm
import tvm_ffi
from tvm import relax, tirx
from tvm.s_tir import SBlock

from mlcx.architectures import architecture
from mlcx.compiler.passes.dispatch import Dispatch
from mlcx.compiler.passes.gpu_moe import gpu_moe_rule
from mlcx.quant import apply
from mlcx.quant.scheme import scheme

TINY = Path(__file__).parents[2] / "tiny"


def products(quantization: str) -> list[tirx.PrimFunc]:
    """Return the products with experts of a tiny Mixtral."""
    family = architecture("mixtral")
    config = family.Config.from_hf(json.loads((TINY / "mixtral.json").read_text()))
    chosen = scheme(quantization)
    model = apply.build(family, config, chosen)
    exported, _ = model.export_tvm(model.functions(chosen.model_dtype))
    rules = Dispatch({"relax.call_dps_packed": gpu_moe_rule()})
    module = relax.transform.DeadCodeElimination()(rules(exported))
    return [
        function
        for name, function in module.functions_items()
        if name.name_hint.startswith("moe_experts")
    ]


def scopes(function: tirx.PrimFunc) -> list[str]:
    """Return where the buffers of a kernel's own are."""
    found: list[str] = []

    def visit(block: SBlock) -> None:
        found.extend(str(buffer.scope()) for buffer in block.alloc_buffers)

    tvm_ffi.structural_walk(function.body, (SBlock, visit), order="post")
    return found


def test_sums_are_in_registers_whatever_they_are_rounded_to() -> None:
    halves, singles = products("q4f16_1"), products("q0f32")
    assert halves
    assert singles
    # Those of the second layer of a block stay float32, and need no buffer.
    found = [tuple(scopes(each)) for each in halves]
    assert set(found) == {("local",), ()}
    assert {tuple(scopes(each)) for each in singles} == {()}


def test_all_threads_of_an_element_add_it_up() -> None:
    (first, *_) = products("q4f16_1")
    text = tvm.IRModule({"main": first}).script()
    assert 'T.thread_binding(T.int64(32), thread="threadIdx.x")' in text
    assert "dequantize" not in text
