"""Add ``alloc_embedding_tensor``, the buffer that an engine gathers embeddings in."""

from __future__ import annotations

from tvm import IRModule, relax
from tvm.ir.transform import Pass, PassContext, module_pass

from mlcx.compiler.passes.additions import Additions

__all__ = ["AttachEmbeddingBuffer"]


def AttachEmbeddingBuffer(  # noqa: N802
    prefill_chunk_size: int, hidden_size: int, dtype: str
) -> Pass:
    """Return the pass that adds the allocation of one prefill chunk's embeddings.

    alloc_embedding_tensor() -> (prefill_chunk_size, hidden_size) ``dtype``; each call
    returns a tensor of its own, its content undefined.
    """

    @module_pass(opt_level=0, name="AttachEmbeddingBuffer")
    def attach(mod: IRModule, _: PassContext) -> IRModule:
        shape = relax.ShapeExpr([prefill_chunk_size, hidden_size])
        buffer = relax.op.builtin.alloc_tensor(shape, dtype, 0)
        additions = Additions({})
        additions.function("alloc_embedding_tensor", [], buffer)
        return additions.added_to(mod)

    return attach
