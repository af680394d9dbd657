"""On every device, what is around the experts of a mixture: choosing and adding up."""

from __future__ import annotations

from collections.abc import Callable

from tvm import relax, tirx

from mlcx.compiler.passes.dispatch import Scope, dtype_of
from mlcx.nn.moe import COMBINE, ROUTE, ROUTE_NORMALIZED

__all__ = ["Lower", "combine", "routes"]

Lower = Callable[[relax.Call, Scope], relax.Expr]


def routes(routing: Callable[..., tirx.PrimFunc]) -> dict[str, Lower]:
    """Return what lowers the placeholders that choose experts, by symbol.

    Args:
        routing: (experts, chosen, *, normalized) to the device's kernel.
    """
    return {
        ROUTE: _route(routing, normalized=False),
        ROUTE_NORMALIZED: _route(routing, normalized=True),
    }


def _route(routing: Callable[..., tirx.PrimFunc], *, normalized: bool) -> Lower:
    def lower(call: relax.Call, scope: Scope) -> relax.Expr:
        experts = int(call.args[1].fields[0].ty.shape[1])
        chosen = int(call.ty.fields[0].shape[1])
        kernel = scope.kernel(
            (ROUTE, experts, chosen, normalized),
            "moe_routing",
            lambda: routing(experts, chosen, normalized=normalized),
        )
        return relax.call_tir(kernel, call.args[1], list(call.ty.fields))

    return lower


def combine(combination: Callable[[int, int, str], tirx.PrimFunc]) -> Lower:
    """Return what lowers the placeholder that adds up what experts computed.

    Args:
        combination: (chosen, hidden size, dtype) to the device's kernel.
    """

    def lower(call: relax.Call, scope: Scope) -> relax.Expr:
        weights, parts = call.args[1].fields
        options = (int(weights.ty.shape[1]), int(parts.ty.shape[1]), dtype_of(call))
        kernel = scope.kernel(
            (COMBINE, *options), "moe_combine", lambda: combination(*options)
        )
        return relax.call_tir(kernel, call.args[1], call.ty)

    return lower
