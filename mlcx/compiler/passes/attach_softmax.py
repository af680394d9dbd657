"""Add ``softmax_with_temperature``, which turns logits into probabilities."""

from __future__ import annotations

from tvm import IRModule, relax, tirx
from tvm.ir.transform import Pass, PassContext, module_pass
from tvm.target import Target

from mlcx.compiler.kernels.cpu.simd import float32_lanes
from mlcx.compiler.kernels.cpu.softmax import softmax_with_temperature
from mlcx.compiler.passes.additions import Additions, tensor
from mlcx.errors import InputError

__all__ = ["AttachSoftmax"]


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

    Raises:
        InputError: More tokens are active than the vocabulary has.
    """
    active = vocab_size if active_vocab_size is None else active_vocab_size
    if not 0 < active <= vocab_size:
        raise InputError.in_file(
            "mlc-chat-config.json",
            f"active_vocab_size must be 1 to vocab_size, {vocab_size}, but is "
            f"{active}: set it to the number of the tokenizer's tokens, or remove it",
        )
    kernel = softmax_with_temperature(vocab_size, active, float32_lanes(target))

    @module_pass(opt_level=0, name="AttachSoftmax")
    def attach(mod: IRModule, _: PassContext) -> IRModule:
        batch = tirx.Var("batch_size", "int64")
        logits = tensor("logits", (batch, 1, vocab_size), "float32")
        temperature = tensor("temperature", (batch,), "float32")
        additions = Additions({"batch_size": max_batch_size})
        additions.call(
            "softmax_with_temperature",
            kernel,
            [logits, temperature],
            [relax.TensorType([batch, 1, vocab_size], "float32")],
        )
        return additions.added_to(mod)

    return attach
