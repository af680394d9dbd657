"""On GPUs, heads that a model rotates itself: one kernel rotates and joins them."""

from __future__ import annotations

import numpy as np
from tvm import relax

from mlcx.compiler.kernels.gpu.rope import join_rotary
from mlcx.compiler.kernels.rotation import Rotation, frequencies
from mlcx.compiler.passes.dispatch import Rule, Scope, dtype_of
from mlcx.nn.rotary import JOIN_ROTARY, Rotary

__all__ = ["gpu_rotary_rule"]


def gpu_rotary_rule() -> Rule:
    """Return the rule for calls of the placeholder in ``nn/rotary.py``."""

    def rule(call: relax.Call, scope: Scope) -> relax.Expr | None:
        function = call.args[0]
        if not isinstance(function, relax.ExternFunc):
            return None
        if function.global_symbol != JOIN_ROTARY:
            return None
        *tensors, options = call.args[1].fields
        q, k = tensors[:2]
        _, heads, width = q.ty.shape
        sizes = int(heads), int(k.ty.shape[1]), int(width)
        dtype = dtype_of(q)
        rotary = Rotary.from_json(str(options.value))
        rotation = Rotation(frequencies(rotary.theta, sizes[2], rotary.scaling))
        kernel = scope.kernel(
            (JOIN_ROTARY, *sizes, dtype),
            "join_rotary",
            lambda: join_rotary(*sizes, rotation, dtype),
        )
        rates = relax.const(np.array(rotation.frequencies, "float32"))
        return relax.call_tir(kernel, relax.Tuple([*tensors, rates]), call.ty)

    return rule
