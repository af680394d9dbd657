"""Functions to add to a module: kernels by themselves, and graph functions around them.

A kernel that works in place is exported as it is; one that makes tensors gets a graph
function that allocates them. Runtimes find both by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tvm import IRModule, ir, relax, tirx
from tvm.relax.op import call_tir, call_tir_inplace

from mlcx.compiler.passes.attach_bounds import BOUND

__all__ = ["Additions", "tensor"]


def tensor(name: str, shape: Sequence[int | tirx.Var], dtype: str) -> relax.Var:
    """Return a parameter for a graph function; symbolic sizes are int64 variables."""
    return relax.Var(name, relax.TensorType(list(shape), dtype))


class Additions:
    """Collects functions, then adds them to a copy of a module.

    ``bounds`` (name of a symbolic size to its maximum) go to every graph function.
    """

    def __init__(self, bounds: Mapping[str, int]) -> None:
        self._bounds = dict(bounds)
        self._builder = relax.BlockBuilder()

    def export(self, name: str, kernel: tirx.PrimFunc) -> None:
        """Add ``kernel`` itself under ``name``; callers pass it all its tensors."""
        self._builder.add_func(kernel.with_attr("global_symbol", name), name)

    def call(
        self,
        name: str,
        kernel: tirx.PrimFunc,
        params: Sequence[relax.Var],
        results: Sequence[relax.TensorType],
    ) -> None:
        """Add a function of ``params`` that returns the ``results`` of ``kernel``.

        The kernel takes ``params``, then one tensor for each result. One result is
        returned as it is, several as a tuple.
        """
        callee = self.kernel(name, kernel)
        self.function(name, params, call_tir(callee, list(params), list(results)))

    def call_in_place(
        self, name: str, kernel: tirx.PrimFunc, params: Sequence[relax.Var]
    ) -> None:
        """Add a function of ``params`` whose kernel writes the last one, its result."""
        target = len(params) - 1
        callee = self.kernel(name, kernel)
        value = call_tir_inplace(callee, list(params), target, params[target].ty)
        self.function(name, params, value)

    def function(self, name: str, params: Sequence[relax.Var], value: ir.Expr) -> None:
        """Add a graph function that returns ``value``."""
        attrs = {BOUND: self._bounds} if self._bounds else {}
        with self._builder.function(name, list(params), attrs):
            self._builder.emit_func_output(self._builder.emit(value))

    def added_to(self, mod: IRModule) -> IRModule:
        """Return ``mod`` with the functions; none of their names may be taken."""
        additions = self._builder.finalize()
        taken = {var.name_hint for var in mod.get_global_vars()}
        new = {var.name_hint for var in additions.get_global_vars()}
        assert not taken & new, f"already in the module: {sorted(taken & new)}"
        functions = dict(mod.functions_items()) | dict(additions.functions_items())
        return IRModule(functions, attrs=mod.attrs)

    def kernel(self, name: str, kernel: tirx.PrimFunc) -> ir.GlobalVar:
        """Add ``kernel`` for calls by graph functions, as ``name_kernel``."""
        symbol = f"{name}_kernel"
        return self._builder.add_func(kernel.with_attr("global_symbol", symbol), symbol)
