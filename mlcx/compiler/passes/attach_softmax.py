"""Add ``softmax_with_temperature``, which turns logits into probabilities."""

from __future__ import annotations

from tvm import IRModule, relax, tirx
from tvm.ir.transform import Pass, PassContext, module_pass
from tvm.relax.op import call_tir
from tvm.target import Target

from mlcx.compiler.kernels.cpu.simd import float32_lanes
from mlcx.compiler.kernels.cpu.softmax import softmax_with_temperature
from mlcx.compiler.kernels.gpu import softmax as gpu
from mlcx.compiler.passes.additions import Additions, tensor

__all__ = ["AttachSoftmax"]

_NAME = "softmax_with_temperature"


def AttachSoftmax(  # noqa: N802
    target: Target,
    vocab_size: int,
    active_vocab_size: int | None,
    max_batch_size: int,
) -> Pass:
    """Return the pass that adds the softmax for ``target``.

    softmax_with_temperature(logits (batch_size, 1, V) f32, temperature (batch_size,)
    f32) -> (batch_size, 1, V) f32. Tokens from ``active_vocab_size`` on, those that no
    tokenizer makes, get probability 0; None: there are none.
    """
    active = vocab_size if active_vocab_size is None else active_vocab_size
    add = _add_to_cpu if target.kind.name == "llvm" else _add_to_gpu

    @module_pass(opt_level=0, name="AttachSoftmax")
    def attach(mod: IRModule, _: PassContext) -> IRModule:
        additions = Additions({"batch_size": max_batch_size})
        add(additions, target, vocab_size, active)
        return additions.added_to(mod)

    return attach


def _add_to_cpu(
    additions: Additions, target: Target, vocab_size: int, active: int
) -> None:
    params, result = _signature(vocab_size)
    kernel = softmax_with_temperature(vocab_size, active, float32_lanes(target))
    additions.call(_NAME, kernel, params, [result])


def _add_to_gpu(additions: Additions, _: Target, vocab_size: int, active: int) -> None:
    """Add the function as two kernels: all of a row must be known to scale it."""
    params, result = _signature(vocab_size)
    batch = result.shape[0]
    chunk = relax.TensorType([batch, gpu.chunk_count(active)], "float32")
    masses = additions.kernel(f"{_NAME}_chunks", gpu.chunk_masses(vocab_size, active))
    final = additions.kernel(_NAME, gpu.softmax_of_chunks(vocab_size, active))
    first = call_tir(masses, params, [chunk, chunk])
    chunks = [relax.TupleGetItem(first, index) for index in range(2)]
    additions.function(_NAME, params, call_tir(final, [*params, *chunks], result))


def _signature(vocab_size: int) -> tuple[list[relax.Var], relax.TensorType]:
    """Return the parameters and the type of the result."""
    batch = tirx.Var("batch_size", "int64")
    logits = tensor("logits", (batch, 1, vocab_size), "float32")
    temperature = tensor("temperature", (batch,), "float32")
    result = relax.TensorType([batch, 1, vocab_size], "float32")
    return [logits, temperature], result
