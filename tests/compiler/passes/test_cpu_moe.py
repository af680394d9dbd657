"""Which kernels mixtures of experts get."""

import json
from collections import Counter
from pathlib import Path

import pytest
import tvm
from tvm import relax

from mlcx.architectures import architecture
from mlcx.compiler.passes.cpu_moe import moe_rule
from mlcx.compiler.passes.dispatch import Dispatch
from mlcx.compiler.targets import target_of
from mlcx.quant import apply
from mlcx.quant.scheme import scheme

CALL_TIR = tvm.ir.Op.get("relax.call_tir")
TINY = Path(__file__).parents[2] / "tiny"


@pytest.fixture(scope="module")
def module() -> tvm.IRModule:
    """Return the functions of a tiny Mixtral of two layers in 4 bits."""
    family = architecture("mixtral")
    config = family.Config.from_hf(json.loads((TINY / "mixtral.json").read_text()))
    model = apply.build(family, config, scheme("q4f16_1"))
    exported, _ = model.export_tvm(model.functions("float16"))
    rules = {"relax.call_dps_packed": moe_rule(target_of("cpu"))}
    return relax.transform.DeadCodeElimination()(Dispatch(rules)(exported))


def calls(module: tvm.IRModule, name: str) -> list[relax.Call]:
    """Return the calls of kernels in a function."""
    found: list[relax.Call] = []

    def visit(node: object) -> None:
        if isinstance(node, relax.Call) and node.op == CALL_TIR:
            found.append(node)

    relax.analysis.post_order_visit(module[name].body, visit)
    return found


def kernels(module: tvm.IRModule, name: str) -> Counter[str]:
    """Return how often a function calls which kernel of experts."""
    names = (str(call.args[0].name_hint) for call in calls(module, name))
    return Counter(each for each in names if each.startswith("moe"))


def test_a_layer_routes_multiplies_twice_and_combines(module: tvm.IRModule) -> None:
    found = kernels(module, "batch_decode")
    assert sorted(found.values()) == [2, 2, 2, 2]
    assert {name.rstrip("0123456789_") for name in found} == {
        "moe_routing",
        "moe_experts",
        "moe_combine",
    }


def test_prompts_share_kernels_and_a_single_token_has_products_of_its_own(
    module: tvm.IRModule,
) -> None:
    assert kernels(module, "batch_prefill") == kernels(module, "batch_decode")
    own = kernels(module, "decode").keys() - kernels(module, "batch_decode").keys()
    assert len(own) == 2
    assert all(name.startswith("moe_experts") for name in own)


def test_no_expert_is_dequantized_as_a_whole(module: tvm.IRModule) -> None:
    whole = [
        call
        for call in calls(module, "decode")
        if isinstance(call.ty, relax.TensorType) and call.ty.ndim == 3
    ]
    assert not [call for call in whole if "dequantize" in call.args[0].name_hint]


def test_no_placeholder_is_left(module: tvm.IRModule) -> None:
    for name, function in module.functions_items():
        if isinstance(function, relax.Function):
            assert "mlcx.moe" not in function.script(), name
