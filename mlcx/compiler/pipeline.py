"""The passes from an exported model to what the code generator takes, in order.

Each phase is a list of named passes; a phase ends with a well-formed module, which
``build`` checks and can dump.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tvm import relax
from tvm.ir.transform import Pass
from tvm.target import Target
from tvm.tirx.transform import BindTarget

from mlcx.compiler.passes.attach_bounds import AttachBounds
from mlcx.compiler.passes.attach_embedding_buffer import AttachEmbeddingBuffer
from mlcx.compiler.passes.attach_gather import AttachGather
from mlcx.compiler.passes.attach_logit_processors import AttachLogitProcessors
from mlcx.compiler.passes.attach_metadata import AttachMetadata
from mlcx.compiler.passes.attach_samplers import AttachSamplers
from mlcx.compiler.passes.attach_softmax import AttachSoftmax
from mlcx.compiler.passes.cpu_activation import activation_rules
from mlcx.compiler.passes.cpu_bfloat16 import LowerBfloat16
from mlcx.compiler.passes.cpu_layer_norm import group_norm_rule, layer_norm_rule
from mlcx.compiler.passes.cpu_matmul import matmul_rule
from mlcx.compiler.passes.cpu_matrix import matrix_rule
from mlcx.compiler.passes.cpu_moe import moe_rule
from mlcx.compiler.passes.cpu_recurrence import recurrence_rule
from mlcx.compiler.passes.cpu_rms_norm import rms_norm_rule
from mlcx.compiler.passes.cpu_rotary import rotary_rule
from mlcx.compiler.passes.dispatch import Dispatch, collapse_reshape, either
from mlcx.compiler.passes.lower_kv_cache import LowerKVCache
from mlcx.compiler.passes.lower_rnn_state import LowerRNNState
from mlcx.errors import UsageError

__all__ = ["KINDS", "Context", "Phase", "check_kind", "phases"]

KINDS = frozenset({"llvm"})
"""Kinds of targets that there are kernels for."""


@dataclass(frozen=True)
class Context:
    """All that passes read beside the module."""

    target: Target
    dtype: str
    """Of activations and cache."""
    hidden_size: int
    vocab_size: int
    active_vocab_size: int | None
    bounds: Mapping[str, int]
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Phase:
    """Passes that belong together."""

    name: str
    passes: tuple[Pass, ...]


def check_kind(target: Target) -> None:
    """Refuse a target of a kind that there are no kernels for.

    Raises:
        UsageError: There are none.
    """
    if target.kind.name not in KINDS:
        known = " and ".join(sorted(KINDS))
        message = f"there are kernels for {known}, none yet for {target.kind.name}"
        raise UsageError(f"target {target.kind.name}: {message}")


def phases(context: Context) -> tuple[Phase, ...]:
    """Return the pipeline for ``context``."""
    return (
        Phase("attach", _attach(context)),
        Phase("dispatch", _dispatch(context)),
        Phase("fuse", _fuse()),
        Phase("lower", _lower(context)),
    )


def _attach(context: Context) -> tuple[Pass, ...]:
    target, vocab, hidden = context.target, context.vocab_size, context.hidden_size
    batch, chunk = context.bounds["batch_size"], context.bounds["seq_len"]
    return (
        LowerKVCache(target),
        LowerRNNState(target),
        AttachSoftmax(target, vocab, context.active_vocab_size, batch),
        AttachLogitProcessors(),
        AttachEmbeddingBuffer(chunk, hidden, context.dtype),
        AttachSamplers(target, vocab, batch),
        AttachGather(context.dtype, hidden, vocab),
        AttachBounds(context.bounds),
        BindTarget(target),
    )


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
        relax.transform.FoldConstant(),
        relax.transform.FuseOps(),
        relax.transform.FuseTIR(),
        relax.transform.DeadCodeElimination(),
        LowerBfloat16(),
    )


def _lower(context: Context) -> tuple[Pass, ...]:
    return (
        relax.transform.ToNonDataflow(),
        relax.transform.RemovePurityChecking(),
        relax.transform.CallTIRRewrite(),
        relax.transform.StaticPlanBlockMemory(),
        AttachMetadata(context.metadata),
        relax.transform.LowerAllocTensor(),
        relax.transform.KillAfterLastUse(),
        relax.transform.LowerRuntimeBuiltin(),
        relax.transform.ComputePrimValue(),
        relax.transform.VMShapeLower(),
        relax.transform.AttachGlobalSymbol(),
    )
