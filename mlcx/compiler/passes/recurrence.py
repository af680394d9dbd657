"""What goes through tokens in order: one kernel for each placeholder."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tvm import relax, tirx
from tvm.target import Target

from mlcx.compiler.kernels.cpu import recurrence as cpu
from mlcx.compiler.kernels.gpu import recurrence as gpu
from mlcx.compiler.passes.dispatch import Rule, Scope, dtype_of, of_symbols
from mlcx.nn.recurrence import SHIFT, WKV5, WKV6

__all__ = ["recurrence_rule"]

_Maker = Callable[..., tirx.PrimFunc]


def recurrence_rule(target: Target) -> Rule:
    """Return the rule for calls of the placeholders in ``nn/recurrence.py``."""
    shift, wkv5, wkv6 = _makers(target)
    return of_symbols(
        {SHIFT: _token_shift(shift), WKV5: _wkv("wkv5", wkv5), WKV6: _wkv("wkv6", wkv6)}
    )


def _makers(target: Target) -> list[_Maker]:
    """Return what makes the kernels of the three placeholders."""
    if target.kind.name == "llvm":
        makers = (cpu.token_shift, cpu.wkv5, cpu.wkv6)
        return [partial(each, target) for each in makers]
    return [gpu.token_shift, gpu.wkv5, gpu.wkv6]


def _token_shift(kernel_of: _Maker) -> Rule:
    def rule(call: relax.Call, scope: Scope) -> relax.Expr:
        x = call.args[1].fields[0]
        width, dtype = int(x.ty.shape[-1]), dtype_of(x)
        kernel = scope.kernel(
            (SHIFT, width, dtype),
            "token_shift",
            lambda: kernel_of(width, dtype),
        )
        return relax.call_tir(kernel, call.args[1], call.ty)

    return rule


def _wkv(name: str, kernel_of: _Maker) -> Rule:
    def rule(call: relax.Call, scope: Scope) -> relax.Expr:
        receptance, *_, before, _ = call.args[1].fields
        _, heads, size, _ = (each for each in before.ty.shape)
        options = (int(heads), int(size), dtype_of(receptance))
        kernel = scope.kernel((name, *options), name, lambda: kernel_of(*options))
        return relax.call_tir(kernel, call.args[1], list(call.ty.fields))

    return rule
