"""Put a device's own kernels where a model's operators are, by a table of rules.

A rule looks at one call and at what its arguments are bound to; it answers with the
call that takes its place, or with None. One walk over the module serves all rules.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import tvm
import tvm_ffi
from tvm import ir, relax, tirx
from tvm.relax.expr_functor import PyExprMutator, mutator

__all__ = [
    "Dispatch",
    "Rule",
    "Scope",
    "collapse_reshape",
    "dtype_of",
    "either",
    "of_symbols",
    "sizes_of",
]


class Scope:
    """What a rule may ask and do: look up bindings, call a kernel."""

    def __init__(self, module: tvm.IRModule, rewriter: Any) -> None:
        self.module = module
        self._rewriter = rewriter
        self._kernels: dict[Hashable, ir.GlobalVar] = {}

    def value_of(self, expr: relax.Expr) -> relax.Expr | None:
        """Return what a variable is bound to, in the end; None for a parameter."""
        value: relax.Expr | None = expr
        while isinstance(value, relax.Var):
            value = self._rewriter.lookup_binding(value)
        return value

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
            private = make().without_attr("global_symbol")
            self._kernels[key] = self._rewriter.builder_.add_func(private, name)
        return self._kernels[key]

    def emit(self, expr: relax.Expr) -> relax.Var:
        """Bind ``expr`` to a new variable."""
        return self._rewriter.builder_.emit(expr)

    def reshape(self, expr: relax.Expr, shape: Any) -> relax.Expr:
        """Return ``expr`` viewed in ``shape``, without the reshapes it went through.

        A reshape that stands alone costs nothing at run time, several in a row would
        be fused to a copy.
        """
        while (inner := self.operands(expr, "relax.reshape")) is not None:
            expr = inner[0]
        target = relax.op.reshape(expr, shape)
        reshaped = self.emit(target)
        same = tvm_ffi.structural_equal(reshaped.ty.shape, expr.ty.shape)
        return expr if same else reshaped

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


def either(*rules: Rule) -> Rule:
    """Return the rule that does as the first of ``rules`` that has an answer."""

    def rule(call: relax.Call, scope: Scope) -> relax.Expr | None:
        answers = (each(call, scope) for each in rules)
        return next((each for each in answers if each is not None), None)

    return rule


def of_symbols(rules: Mapping[str, Rule]) -> Rule:
    """Return the rule that does as that of the packed function which is called."""

    def rule(call: relax.Call, scope: Scope) -> relax.Expr | None:
        function = call.args[0]
        if not isinstance(function, relax.ExternFunc):
            return None
        own = rules.get(str(function.global_symbol))
        return own(call, scope) if own else None

    return rule


def collapse_reshape(call: relax.Call, scope: Scope) -> relax.Expr:
    """Rule for ``reshape``: of a reshape, keep only the outer."""
    return scope.reshape(*call.args)


def dtype_of(expr: relax.Expr) -> str:
    """Return the dtype of a tensor."""
    return str(expr.ty.dtype.dtype)


def sizes_of(expr: relax.Expr) -> list[int | str]:
    """Return the shape of a tensor, symbolic sizes as text."""
    return [
        int(size) if isinstance(size, tirx.IntImm) else str(size)
        for size in expr.ty.shape
    ]


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
