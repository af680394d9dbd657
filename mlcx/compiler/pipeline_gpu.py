"""On GPUs, the phases between the attached functions and the lowering."""

from __future__ import annotations

from tvm import relax
from tvm.ir.transform import Pass
from tvm.s_tir import dlight
from tvm.target import Target
from tvm.tirx.transform import ForceNarrowIndexToInt32

from mlcx.compiler.context import Context, Phase
from mlcx.compiler.intrinsics import load_intrinsics
from mlcx.compiler.passes.dispatch import Dispatch, collapse_reshape, either
from mlcx.compiler.passes.gpu_low_batch import OtherProducts, SpecializeLowBatch
from mlcx.compiler.passes.gpu_matmul import bias_rule, nt_matmul_rule
from mlcx.compiler.passes.gpu_moe import gpu_moe_rule
from mlcx.compiler.passes.gpu_narrow import NarrowIntegers
from mlcx.compiler.passes.recurrence import recurrence_rule
from mlcx.compiler.passes.rms_norm import rms_norm_rule
from mlcx.compiler.passes.rotary import rotary_rule

__all__ = ["gpu_phases", "narrowing"]


def gpu_phases(context: Context) -> tuple[Phase, ...]:
    """Return the phases for a target that launches threads."""
    load_intrinsics(context.target)
    return (
        Phase("dispatch", _dispatch(context)),
        Phase("fuse", _fuse()),
        Phase("schedule", _schedule(context)),
    )


def _dispatch(context: Context) -> tuple[Pass, ...]:
    rules = {
        "relax.matmul": nt_matmul_rule(),
        "relax.add": bias_rule(),
        "relax.call_dps_packed": either(
            recurrence_rule(context.target),
            gpu_moe_rule(),
            rotary_rule(context.target),
        ),
        "relax.nn.rms_norm": rms_norm_rule(context.target),
        "relax.reshape": collapse_reshape,
    }
    return (Dispatch(rules), relax.transform.DeadCodeElimination())


def _fuse() -> tuple[Pass, ...]:
    return (
        # A reshape stays an operator: the runtime then makes a view of it, not a copy.
        relax.transform.LegalizeOps(skip_ops=["relax.reshape"]),
        relax.transform.AnnotateTIROpPattern(),
        relax.transform.FoldConstant(),
        relax.transform.FuseOps(),
        relax.transform.FuseTIR(),
        relax.transform.DeadCodeElimination(),
    )


def _schedule(context: Context) -> tuple[Pass, ...]:
    rules = dlight.gpu
    return (
        SpecializeLowBatch(context.target),
        dlight.ApplyDefaultSchedule(
            OtherProducts(),
            rules.GEMV(),
            rules.Reduction(),
            rules.GeneralReduction(),
            rules.Fallback(),
        ),
        *narrowing(context.target),
    )


def narrowing(target: Target) -> tuple[Pass, ...]:
    """Return what makes indices narrow, and all integers where there are no others."""
    if target.kind.name == "cuda":
        return ()
    every = (NarrowIntegers(),) if target.kind.name == "webgpu" else ()
    return (ForceNarrowIndexToInt32(), *every)
