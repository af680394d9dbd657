"""Which norms take a bias."""

import pytest
import tvm
from tvm import relax
from tvm.relax.frontend import nn

from mlcx.compiler.passes.cpu_layer_norm import group_norm_rule, layer_norm_rule
from mlcx.compiler.passes.dispatch import Dispatch
from mlcx.compiler.targets import target_of
from mlcx.nn.group_norm import GroupNorm
from mlcx.nn.layer_norm import HeadNorm, ScalingLayerNorm

NORMS = {
    "scaling": (ScalingLayerNorm(24, 1e-5), 2),
    "of heads": (HeadNorm(4, 6, 1e-5), 2),
    "biased": (nn.LayerNorm(24), 3),
    "biased, of groups": (GroupNorm(4, 24, 1e-5), 3),
}


@pytest.mark.parametrize(("norm", "count"), NORMS.values(), ids=NORMS)
def test_zeros_as_a_bias_are_none(norm: nn.Module, count: int) -> None:
    target = target_of("cpu")
    rules = {
        "relax.nn.layer_norm": layer_norm_rule(target),
        "relax.nn.group_norm": group_norm_rule(target),
    }
    inputs = {"forward": {"x": nn.spec.Tensor((1, "s", 24), "float32")}}
    mod = Dispatch(rules)(norm.export_tvm(inputs)[0])
    calls: list[int] = []

    def visit(expr: object) -> None:
        if isinstance(expr, relax.Call) and expr.op == tvm.ir.Op.get("relax.call_tir"):
            calls.append(len(expr.args[1].fields))

    relax.analysis.post_order_visit(mod["forward"].body, visit)
    assert calls == [count]
