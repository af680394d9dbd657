"""Feed-forward blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

__all__ = ["ACTIVATIONS", "Activation", "GatedMLP", "gelu_tanh"]

Activation = Callable[[nn.Tensor], nn.Tensor]


def gelu_tanh(x: nn.Tensor) -> nn.Tensor:
    """Return GELU by its approximation with a tanh."""
    return op.gelu(x, approximate="tanh")


ACTIVATIONS: Mapping[str, Activation] = {
    "gelu": op.gelu,
    "gelu_fast": gelu_tanh,
    "gelu_new": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "relu": op.relu,
    "silu": op.silu,
    "swish": op.silu,
}
"""By Hugging Face's names, of which several stand for the same."""


class GatedMLP(nn.Module):
    """``down(activation(gate(x)) * up(x))``, gate and up fused in that order."""

    def __init__(
        self, hidden_size: int, intermediate_size: int, activation: Activation = op.silu
    ) -> None:
        self.gate_up_proj = nn.Linear(hidden_size, 2 * intermediate_size, bias=False)
        self.down_proj = nn.Linear(intermediate_size, hidden_size, bias=False)
        self.activation = activation

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        """Map ``x`` (..., hidden) to the same shape."""
        gate, up = op.split(self.gate_up_proj(x), 2, axis=-1)
        return self.down_proj(self.activation(gate) * up)
