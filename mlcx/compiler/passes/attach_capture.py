"""Say which functions may be captured once for each of their sizes, for CUDA graphs."""

from __future__ import annotations

import tvm
from tvm import relax
from tvm.ir.transform import Pass, PassContext, module_pass

__all__ = ["AttachCapture"]

_SIZES = "relax.rewrite_cuda_graph.capture_symbolic_vars"

_CAPTURED = {
    "batch_decode": ["batch_size"],
    "batch_decode_to_last_hidden_states": ["batch_size"],
    "batch_verify": ["batch_size", "seq_len"],
    "batch_verify_to_last_hidden_states": ["batch_size", "seq_len"],
}
"""Function to its symbolic sizes, each of which takes few values. What takes many, as
the length of a prompt does, would be captured over and over."""


def AttachCapture() -> Pass:  # noqa: N802
    """Return the pass that marks the functions; it changes nothing by itself."""

    @module_pass(opt_level=0, name="AttachCapture")
    def attach(mod: tvm.IRModule, _: PassContext) -> tvm.IRModule:
        for name, function in mod.functions_items():
            sizes = _CAPTURED.get(name.name_hint)
            if sizes and isinstance(function, relax.Function):
                mod[name] = function.with_attr(_SIZES, sizes)
        return mod

    return attach
