"""Put a device's own kernels where a model's operators are, by a table of rules.

A rule looks at one call and at what its arguments are bound to; it answers with the
call that takes its place, or with None. One walk over the module serves all rules.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import tvm
from tvm import ir, relax, tirx
from tvm.relax.expr_functor import PyExprMutator, mutator

__all__ = ["Dispatch", "Rule", "Scope"]


class Scope:
    """What a rule may ask and do: look up bindings, call a kernel."""

    def __init__(self, module: tvm.IRModule, rewriter: Any) -> None:
        self.module = module
        self._rewriter = rewriter
        self._kernels: dict[Hashable, ir.GlobalVar] = {}

    def value_of(self, expr: relax.Expr) -> relax.Expr | None:
        """Return what the variable ``expr`` is bound to, if it is one and known."""
        if isinstance(expr, relax.Var):
            return self._rewriter.lookup_binding(expr)
        return None

    def operands(self, expr: relax.Expr, operator: str) -> list[relax.Expr] | None:
        """Return the arguments when ``expr`` is bound to a call of ``operator``."""
        value = self.value_of(expr)
        if value is not None and _operator(value) == operator:
            return list(value.args)
        return None

    def kernel(
        self, key: Hashable, name: str, make: Callable[[], tirx.PrimFunc]
    ) -> ir.GlobalVar:
        """Return the kernel of ``key``, added to the module when first asked for."""
        if key not in self._kernels:
            builder = self._rewriter.builder_
            self._kernels[key] = builder.add_func(make(), name)
        return self._kernels[key]

    def emit(self, expr: relax.Expr) -> relax.Var:
        """Bind ``expr`` to a new variable."""
        return self._rewriter.builder_.emit(expr)

    def replace(self, old: relax.Expr, new: relax.Expr) -> None:
        """Make later uses of the variable ``old`` read ``new``."""
        self._rewriter.replaced[old] = new


Rule = Callable[[relax.Call, Scope], relax.Expr | None]


def Dispatch(rules: Mapping[str, Rule]) -> tvm.transform.Pass:  # noqa: N802
    """Apply ``rules`` (operator name to rule) to every Relax function."""

    @tvm.transform.module_pass(opt_level=0, name="Dispatch")
    def dispatch(mod: tvm.IRModule, _: tvm.transform.PassContext) -> tvm.IRModule:
        return _Rewriter(mod, rules).run()

    return dispatch


def _operator(expr: relax.Expr) -> str | None:
    if isinstance(expr, relax.Call) and isinstance(expr.op, ir.Op):
        return str(expr.op.name)
    return None


@mutator
class _Rewriter(PyExprMutator):
    def __init__(self, mod: tvm.IRModule, rules: Mapping[str, Rule]) -> None:
        super().__init__(mod)
        self.replaced: dict[relax.Expr, relax.Expr] = {}
        self._module = mod
        self._rules = rules
        self._scope = Scope(mod, self)

    def run(self) -> tvm.IRModule:
        for name, function in self._module.functions_items():
            if isinstance(function, relax.Function):
                self.replaced.clear()
                self.builder_.update_func(name, self.visit_expr(function))
        return self.builder_.get()

    def visit_var_(self, op: relax.Var) -> relax.Expr:
        new = super().visit_var_(op)
        return self.replaced.get(new, new)

    visit_dataflow_var_ = visit_var_

    def visit_call_(self, op: relax.Call) -> relax.Expr:
        call = self.visit_expr_post_order(op)
        rule = self._rules.get(_operator(call) or "")
        changed = rule(call, self._scope) if rule else None
        return call if changed is None else changed
