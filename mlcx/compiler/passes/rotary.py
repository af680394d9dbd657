"""Heads that a model rotates itself: one kernel rotates and joins them."""

from __future__ import annotations

import numpy as np
from tvm import relax
from tvm.target import Target

from mlcx.compiler.kernels.cpu import rope as cpu
from mlcx.compiler.kernels.gpu import rope as gpu
from mlcx.compiler.kernels.rotation import Rotation, frequencies
from mlcx.compiler.passes.dispatch import Rule, Scope, dtype_of, of_symbols
from mlcx.nn.rotary import JOIN_ROTARY, Rotary

__all__ = ["rotary_rule"]


def rotary_rule(target: Target) -> Rule:
    """Return the rule for calls of the placeholder in ``nn/rotary.py``."""
    on_cpu = target.kind.name == "llvm"
    return of_symbols({JOIN_ROTARY: _on_cpu(target) if on_cpu else _on_gpu})


def _on_cpu(target: Target) -> Rule:
    """Return the rule whose kernels know by how much they turn."""

    def rule(call: relax.Call, scope: Scope) -> relax.Expr:
        tensors = list(call.args[1].fields[:-1])
        (sizes, dtype), rotation = _sizes(tensors), _rotation(call)
        kernel = scope.kernel(
            (JOIN_ROTARY, *sizes, dtype, rotation),
            "join_rotary",
            lambda: cpu.join_rotary(target, *sizes, rotation, dtype),
        )
        return relax.call_tir(kernel, relax.Tuple(tensors), call.ty)

    return rule


def _on_gpu(call: relax.Call, scope: Scope) -> relax.Expr:
    """Let one kernel turn by whatever it is given."""
    tensors = list(call.args[1].fields[:-1])
    (sizes, dtype), rotation = _sizes(tensors), _rotation(call)
    kernel = scope.kernel(
        (JOIN_ROTARY, *sizes, dtype),
        "join_rotary",
        lambda: gpu.join_rotary(*sizes, rotation, dtype),
    )
    rates = relax.const(np.array(rotation.frequencies, "float32"))
    return relax.call_tir(kernel, relax.Tuple([*tensors, rates]), call.ty)


def _sizes(tensors: list[relax.Expr]) -> tuple[tuple[int, int, int], str]:
    """Return how many heads queries and keys have, how wide they are, and the dtype."""
    q, k = tensors[:2]
    _, heads, width = q.ty.shape
    return (int(heads), int(k.ty.shape[1]), int(width)), dtype_of(q)


def _rotation(call: relax.Call) -> Rotation:
    q, *_, options = call.args[1].fields
    rotary = Rotary.from_json(str(options.value))
    return Rotation(frequencies(rotary.theta, int(q.ty.shape[-1]), rotary.scaling))
