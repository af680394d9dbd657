"""Mixtures of experts: each token goes through a few of many feed-forward blocks.

A *pair* is a token and one of its k experts, of E in all; token m has the k pairs from
m * k on, so t tokens have t * k. The operators are placeholders, which
``passes/cpu_moe.py`` replaces on the CPU.
"""

from __future__ import annotations

from typing import NamedTuple

from tvm import relax
from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.nn.placeholder import placeholder

__all__ = [
    "COMBINE",
    "EXPERTS",
    "ROUTE",
    "ROUTE_NORMALIZED",
    "Experts",
    "Router",
    "Routing",
    "combine",
    "experts_product",
    "mixture",
    "route",
]

ROUTE = "mlcx.moe_route"
ROUTE_NORMALIZED = "mlcx.moe_route_normalized"
EXPERTS = "mlcx.moe_experts"
COMBINE = "mlcx.moe_combine"


class Routing(NamedTuple):
    """Which experts each token goes through."""

    weights: nn.Tensor
    """(t, k) float32, of each pair."""
    order: nn.Tensor
    """(t, k) int32: the pairs' numbers, sorted by expert."""
    starts: nn.Tensor
    """(E + 1,) int32: where each expert's pairs start in the order; then their end."""


def route(logits: nn.Tensor, chosen: int, *, normalized: bool) -> Routing:
    """Choose the ``chosen`` likeliest experts of each token.

    Args:
        logits: (t, E) float32; a softmax makes them probabilities.
        chosen: k. Of experts as likely as each other the first are taken.
        normalized: A token's weights are its probabilities over their sum.
    """
    tokens, experts = logits.shape
    outs = [
        relax.TensorType((tokens, chosen), "float32"),
        relax.TensorType((tokens, chosen), "int32"),
        relax.TensorType((experts + 1,), "int32"),
    ]
    function = ROUTE_NORMALIZED if normalized else ROUTE
    return Routing(*placeholder(function, [logits], outs, "routing"))


def experts_product(
    x: nn.Tensor, weight: nn.Tensor, routing: Routing, out_dtype: str | None
) -> nn.Tensor:
    """Return (t * k, N): each pair's row of ``x`` times its expert's ``weight``.

    Args:
        x: (t, K), a row that all pairs of a token share, or (t * k, K).
        weight: (E, N, K).
        routing: Of the pairs.
        out_dtype: None: that of ``x``.
    """
    tokens, chosen = routing.order.shape
    out = relax.TensorType((tokens * chosen, weight.shape[1]), out_dtype or x.dtype)
    arguments = [routing.order, routing.starts, x, weight]
    return placeholder(EXPERTS, arguments, out, "experts")


def combine(parts: nn.Tensor, routing: Routing, dtype: str) -> nn.Tensor:
    """Return (t, h): each token's sum of its pairs' weights times rows of ``parts``.

    ``parts`` is (t * k, h) float32.
    """
    out = relax.TensorType((routing.weights.shape[0], parts.shape[1]), dtype)
    return placeholder(COMBINE, [routing.weights, parts], out, "combined")


class Router(nn.Linear):
    """Scores (t, E) float32 of every expert; no scheme quantizes it."""

    def __init__(self, hidden_size: int, experts: int) -> None:
        super().__init__(hidden_size, experts, bias=False, out_dtype="float32")


class Experts(nn.Module):
    """A linear layer of each expert, their weights stacked: (E, N, K)."""

    def __init__(
        self, experts: int, columns: int, rows: int, out_dtype: str | None = None
    ) -> None:
        self.weight = nn.Parameter((experts, rows, columns))
        self.out_dtype = out_dtype

    def forward(self, x: nn.Tensor, routing: Routing) -> nn.Tensor:
        """Return (t * k, N) of ``x``, see `experts_product`."""
        return experts_product(x, self.weight, routing, self.out_dtype)


def mixture(
    x: nn.Tensor, routing: Routing, gate_up: nn.Module, down: nn.Module
) -> nn.Tensor:
    """Return (t, h) of ``x`` (t, h): the weighted sum of each token's experts.

    Args:
        x: Tokens.
        routing: Of the tokens.
        gate_up: `Experts` (E, 2 * I, h), gates first.
        down: `Experts` (E, h, I), to float32.
    """
    gate, up = op.split(gate_up(x, routing), 2, axis=-1)
    return combine(down(op.silu(gate) * up, routing), routing, x.dtype)
