"""On the CPU, the phases between the attached functions and the lowering."""

from __future__ import annotations

from tvm import relax
from tvm.ir.transform import Pass

from mlcx.compiler.context import Context, Phase
from mlcx.compiler.passes.cpu_activation import activation_rules
from mlcx.compiler.passes.cpu_bfloat16 import LowerBfloat16
from mlcx.compiler.passes.cpu_layer_norm import group_norm_rule, layer_norm_rule
from mlcx.compiler.passes.cpu_matmul import matmul_rule
from mlcx.compiler.passes.cpu_matrix import matrix_rule
from mlcx.compiler.passes.cpu_moe import moe_rule
from mlcx.compiler.passes.dispatch import Dispatch, collapse_reshape, either
from mlcx.compiler.passes.recurrence import recurrence_rule
from mlcx.compiler.passes.rms_norm import rms_norm_rule
from mlcx.compiler.passes.rotary import rotary_rule

__all__ = ["cpu_phases"]


def cpu_phases(context: Context) -> tuple[Phase, ...]:
    """Return the phases for a target of kind llvm."""
    return (Phase("dispatch", _dispatch(context)), Phase("fuse", _fuse()))


def _dispatch(context: Context) -> tuple[Pass, ...]:
    rules = {
        "relax.matmul": either(
            matmul_rule(context.target), matrix_rule(context.target)
        ),
        **activation_rules(context.target),
        "relax.call_dps_packed": either(
            recurrence_rule(context.target),
            moe_rule(context.target),
            rotary_rule(context.target),
        ),
        "relax.nn.group_norm": group_norm_rule(context.target),
        "relax.nn.layer_norm": layer_norm_rule(context.target),
        "relax.nn.rms_norm": rms_norm_rule(context.target),
        "relax.reshape": collapse_reshape,
    }
    return (Dispatch(rules), relax.transform.DeadCodeElimination())


def _fuse() -> tuple[Pass, ...]:
    return (
        # A reshape stays an operator: the runtime then makes a view of it, not a copy.
        relax.transform.LegalizeOps(skip_ops=["relax.reshape"]),
        relax.transform.AnnotateTIROpPattern(),
        relax.transform.FuseOps(),
        relax.transform.FuseTIR(),
        relax.transform.DeadCodeElimination(),
        LowerBfloat16(),
    )
