"""Give the KV cache that a model asks for its device's kernels.

A model emits one placeholder call that says what cache it needs. This pass adds the
kernels to the module, creates TVM's paged cache from them, and gives the function the
name under which runtimes look for it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from tvm import IRModule, ir, relax, tirx
from tvm.relax.expr_functor import PyExprMutator, mutator
from tvm.target import Target

from mlcx.compiler.passes.cpu_kv_cache import cpu_kv_kernels
from mlcx.compiler.passes.gpu_kv_cache import gpu_kv_kernels
from mlcx.compiler.passes.kv_rotation import rotation_of
from mlcx.compiler.passes.packed import calls
from mlcx.nn.kv_cache import CREATE_KV_CACHE, KVCacheSpec

__all__ = ["CREATE_FUNCTION", "LowerKVCache"]

CREATE_FUNCTION = "create_tir_paged_kv_cache"
"""What runtimes call a function that creates a cache out of compiled kernels."""

_MODEL_FUNCTION = "create_paged_kv_cache"
_RUNTIME_CREATE = "vm.builtin.paged_attention_kv_cache_create"
_MULTI_HEAD = 0
_NO_ROTATION, _ROTATE_BEFORE_APPEND = 0, 1


@ir.transform.module_pass(opt_level=0, name="LowerKVCache")
class LowerKVCache:
    """Module pass: lower every placeholder for ``target``.

    Raises:
        BuildError: The target has no kernels for what the model asks of its cache.
    """

    def __init__(self, target: Target) -> None:
        self.target = target

    def transform_module(self, mod: IRModule, _: ir.transform.PassContext) -> IRModule:
        """Return ``mod`` with its caches made of kernels; others pass through."""
        lowering = _Lowering(mod, self.target)
        for var, function in mod.functions_items():
            if isinstance(function, relax.Function):
                lowering.builder_.update_func(var, lowering.visit_expr(function))
        return _rename(lowering.builder_.finalize())


def _rename(mod: IRModule) -> IRModule:
    """Give the model's creating function the name that runtimes know."""
    functions = {var.name_hint: f for var, f in mod.functions_items()}
    if _MODEL_FUNCTION not in functions:
        return mod
    function = functions[_MODEL_FUNCTION].with_attr("global_symbol", CREATE_FUNCTION)
    mod = mod.clone()
    del mod[_MODEL_FUNCTION]
    mod[CREATE_FUNCTION] = function
    return mod


@mutator
class _Lowering(PyExprMutator):
    def __init__(self, mod: IRModule, target: Target) -> None:
        super().__init__(mod)
        self.target = target

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = super().visit_call_(call)
        if not calls(call, CREATE_KV_CACHE):
            return call
        _, sizes, text = call.args
        spec = KVCacheSpec(**json.loads(text.value))
        return relax.call_pure_packed(
            _RUNTIME_CREATE, *self._arguments(sizes, spec), ty_args=relax.AnyType()
        )

    def _arguments(self, sizes: relax.ShapeExpr, spec: KVCacheSpec) -> list[relax.Expr]:
        """Return the 28 arguments in the order of the runtime's builtin."""
        kernels = self._kernels(spec)
        add = self._add
        return [
            sizes,
            relax.ShapeExpr([0, spec.num_layers]),
            relax.prim_value(spec.num_q_heads),
            relax.prim_value(spec.num_kv_heads),
            relax.prim_value(spec.head_dim),
            relax.prim_value(spec.head_dim),
            relax.ShapeExpr([_MULTI_HEAD] * spec.num_layers),
            relax.prim_value(0),  # disaggregation
            relax.prim_value(
                _ROTATE_BEFORE_APPEND if spec.rotary_dim else _NO_ROTATION
            ),
            relax.prim_value(1.0),
            relax.prim_value(spec.rope_theta),
            self._factors(spec),
            relax.const(0, spec.dtype),
            *map(add, kernels[:1]),
            relax.prim_value(0),  # append of latent attention: none
            *map(self._backend, kernels[1:8]),
            relax.Tuple([]),  # prefill of latent attention
            relax.Tuple([add(kernels[8])]),
            *map(add, kernels[9:]),
        ]

    def _kernels(self, spec: KVCacheSpec) -> Sequence[tirx.PrimFunc | None]:
        if self.target.kind.name == "llvm":
            return cpu_kv_kernels(spec, self.target)
        return gpu_kv_kernels(spec, self.target)

    def _factors(self, spec: KVCacheSpec) -> relax.Expr:
        """Return the argument that the runtime hands to the rotation, if it is one.

        It is meant for factors of frequencies. For kernels on GPUs, which hold no
        tables of their own, it is the frequencies; not where a cache slides, whose
        keys turn when they are read.
        """
        before = spec.rotary_dim and spec.window is None
        if self.target.kind.name == "llvm" or not before:
            return relax.prim_value(0)
        return relax.const(np.array(rotation_of(spec).frequencies, "float32"))

    def _backend(self, kernel: tirx.PrimFunc | None) -> relax.Tuple:
        """Return what the runtime takes for an attention kernel; empty: there is none.

        The runtime refuses to do what it has no kernel for.
        """
        if kernel is None:
            return relax.Tuple([])
        return relax.Tuple([ir.StringImm("tirx"), self._add(kernel)])

    def _add(self, kernel: tirx.PrimFunc) -> ir.GlobalVar:
        return self.builder_.add_func(kernel, str(kernel.attrs["global_symbol"]))
