"""Add what moves rows of probabilities and hidden states by index, for draft trees."""

from __future__ import annotations

from tvm import IRModule, relax, tirx
from tvm.ir.transform import Pass, PassContext, module_pass
from tvm.target import Target

from mlcx.compiler.kernels.cpu import gather as cpu
from mlcx.compiler.kernels.gpu import gather as gpu
from mlcx.compiler.passes.additions import Additions, tensor

__all__ = ["AttachGather"]


def AttachGather(  # noqa: N802
    target: Target, dtype: str, hidden_size: int, vocab_size: int
) -> Pass:
    """Return the pass that adds gather_… and scatter_… of probs and hidden_states.

    gather_…(src (m, w), indices (b,) int32, dst (b, w)): ``dst[i] = src[indices[i]]``;
    scatter_…(src (b, w), indices (b,) int32, dst (m, w)): ``dst[indices[i]] = src[i]``.
    Probabilities are float32, w = ``vocab_size``; hidden states ``dtype``, w =
    ``hidden_size``, and the functions on them return dst.
    """
    rows = cpu if target.kind.name == "llvm" else gpu

    @module_pass(opt_level=0, name="AttachGather")
    def attach(mod: IRModule, _: PassContext) -> IRModule:
        additions = Additions({})
        additions.export("gather_probs", rows.gather_rows(vocab_size, "float32"))
        additions.export("scatter_probs", rows.scatter_rows(vocab_size, "float32"))
        additions.call_in_place(
            "gather_hidden_states",
            rows.gather_rows(hidden_size, dtype),
            _params(dtype, hidden_size, "m", "batch_size"),
        )
        additions.call_in_place(
            "scatter_hidden_states",
            rows.scatter_rows(hidden_size, dtype),
            _params(dtype, hidden_size, "batch_size", "m"),
        )
        return additions.added_to(mod)

    return attach


def _params(dtype: str, width: int, src_rows: str, dst_rows: str) -> list[relax.Var]:
    """Return src, indices (batch_size,) and dst, with fresh sizes of these names."""
    sizes = {name: tirx.Var(name, "int64") for name in (src_rows, dst_rows)}
    return [
        tensor("src", (sizes[src_rows], width), dtype),
        tensor("indices", (sizes["batch_size"],), "int32"),
        tensor("dst", (sizes[dst_rows], width), dtype),
    ]
