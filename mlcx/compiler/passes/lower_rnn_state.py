"""Give the state that a recurrent model asks for its device's kernels.

A model emits one placeholder call that says what state it needs. This pass adds the
kernels to the module and creates TVM's state object from them.
"""

from __future__ import annotations

from collections.abc import Callable

from tvm import IRModule, ir, relax, tirx
from tvm.relax.expr_functor import PyExprMutator, mutator
from tvm.target import Target

from mlcx.compiler.kernels.cpu import rnn_state as cpu
from mlcx.compiler.kernels.gpu import rnn_state as gpu
from mlcx.compiler.passes.packed import calls
from mlcx.nn.rnn_state import CREATE_RNN_STATE, RNNStateSpec

__all__ = ["LowerRNNState"]

_RUNTIME_CREATE = "vm.builtin.rnn_state_create"


@ir.transform.module_pass(opt_level=0, name="LowerRNNState")
class LowerRNNState:
    """Module pass: lower every placeholder for ``target``."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def transform_module(self, mod: IRModule, _: ir.transform.PassContext) -> IRModule:
        """Return ``mod`` with its states made of kernels; others pass through."""
        lowering = _Lowering(mod, self.target)
        for var, function in mod.functions_items():
            if isinstance(function, relax.Function):
                lowering.builder_.update_func(var, lowering.visit_expr(function))
        return lowering.builder_.finalize()


@mutator
class _Lowering(PyExprMutator):
    def __init__(self, mod: IRModule, target: Target) -> None:
        super().__init__(mod)
        self.copies = cpu if target.kind.name == "llvm" else gpu

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = super().visit_call_(call)
        if not calls(call, CREATE_RNN_STATE):
            return call
        _, sizes, text = call.args
        spec = RNNStateSpec.from_json(text.value)
        return relax.call_pure_packed(
            _RUNTIME_CREATE, *self._arguments(sizes, spec), ty_args=relax.AnyType()
        )

    def _arguments(
        self, sizes: relax.ShapeExpr, spec: RNNStateSpec
    ) -> list[relax.Expr]:
        """Return the arguments in the order of the runtime's builtin."""
        most, history = sizes.values
        zeros = [relax.op.zeros(each.shape, each.dtype) for each in spec.states]
        return [
            relax.prim_value(spec.num_layers),
            relax.prim_value(most),
            relax.prim_value(history),
            self._kernels(spec, self.copies.get_state),
            self._kernels(spec, self.copies.set_state),
            relax.Tuple([self.builder_.emit(zero) for zero in zeros]),
        ]

    def _kernels(
        self, spec: RNNStateSpec, make: Callable[..., tirx.PrimFunc]
    ) -> relax.Tuple:
        """Return a kernel for each state of a layer."""
        added = []
        for index, each in enumerate(spec.states):
            kernel = make(each.shape, each.dtype)
            name = f"{kernel.attrs['global_symbol']}_{index}"
            kernel = kernel.with_attr("global_symbol", name)
            added.append(self.builder_.add_func(kernel, name))
        return relax.Tuple(added)
