"""The passes from an exported model to what the code generator takes, in order.

Each phase is a list of named passes; a phase ends with a well-formed module, which
``build`` checks and can dump.
"""

from __future__ import annotations

from collections.abc import Callable

from tvm import relax
from tvm.ir.transform import Pass
from tvm.target import Target
from tvm.tirx.transform import BindTarget

from mlcx.compiler.context import Context, Phase
from mlcx.compiler.passes.attach_bounds import AttachBounds
from mlcx.compiler.passes.attach_capture import AttachCapture
from mlcx.compiler.passes.attach_embedding_buffer import AttachEmbeddingBuffer
from mlcx.compiler.passes.attach_gather import AttachGather
from mlcx.compiler.passes.attach_graph_allocations import AttachGraphAllocations
from mlcx.compiler.passes.attach_logit_processors import AttachLogitProcessors
from mlcx.compiler.passes.attach_metadata import AttachMetadata
from mlcx.compiler.passes.attach_samplers import AttachSamplers
from mlcx.compiler.passes.attach_softmax import AttachSoftmax
from mlcx.compiler.passes.lower_kv_cache import LowerKVCache
from mlcx.compiler.passes.lower_rnn_state import LowerRNNState
from mlcx.compiler.passes.trust_callers import TrustCallers
from mlcx.compiler.pipeline_cpu import cpu_phases
from mlcx.compiler.pipeline_gpu import gpu_phases
from mlcx.errors import UsageError

__all__ = ["KINDS", "Context", "Phase", "check_kind", "phases"]

KINDS: dict[str, Callable[[Context], tuple[Phase, ...]]] = {
    "llvm": cpu_phases,
    "cuda": gpu_phases,
    "metal": gpu_phases,
    "opencl": gpu_phases,
    "rocm": gpu_phases,
    "vulkan": gpu_phases,
    "webgpu": gpu_phases,
}
"""Kinds of targets that there are kernels for, to what compiles a model with them."""


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
    """Return the pipeline for ``context``.

    Raises:
        UsageError: There are no kernels for its target.
    """
    check_kind(context.target)
    return (
        Phase("attach", _attach(context)),
        *KINDS[context.target.kind.name](context),
        Phase("lower", _lower(context)),
    )


def _attach(context: Context) -> tuple[Pass, ...]:
    target, vocab, hidden = context.target, context.vocab_size, context.hidden_size
    batch, chunk = context.bounds["batch_size"], context.bounds["seq_len"]
    return (
        LowerKVCache(target),
        LowerRNNState(target),
        AttachSoftmax(target, vocab, context.active_vocab_size, batch),
        AttachLogitProcessors(target),
        AttachEmbeddingBuffer(chunk, hidden, context.dtype),
        AttachSamplers(target, vocab, batch),
        AttachGather(target, context.dtype, hidden, vocab),
        AttachBounds(context.bounds),
        AttachCapture(),
        BindTarget(target),
    )


def _lower(context: Context) -> tuple[Pass, ...]:
    capture = (relax.transform.RewriteCUDAGraph(), AttachGraphAllocations())
    return (
        relax.transform.ToNonDataflow(),
        relax.transform.RemovePurityChecking(),
        relax.transform.CallTIRRewrite(),
        relax.transform.StaticPlanBlockMemory(),
        AttachMetadata(context.metadata),
        *(capture if context.cuda_graph else ()),
        relax.transform.LowerAllocTensor(),
        relax.transform.KillAfterLastUse(),
        relax.transform.LowerRuntimeBuiltin(),
        relax.transform.ComputePrimValue(),
        relax.transform.VMShapeLower(),
        relax.transform.AttachGlobalSymbol(),
        TrustCallers(),
    )
