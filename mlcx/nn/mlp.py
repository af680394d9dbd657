"""Feed-forward blocks."""

from __future__ import annotations

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

__all__ = ["GatedMLP"]


class GatedMLP(nn.Module):
    """SwiGLU: ``down(silu(gate(x)) * up(x))``, gate and up fused in that order."""

    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        self.gate_up_proj = nn.Linear(hidden_size, 2 * intermediate_size, bias=False)
        self.down_proj = nn.Linear(intermediate_size, hidden_size, bias=False)

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        """Map ``x`` (..., hidden) to the same shape."""
        gate, up = op.split(self.gate_up_proj(x), 2, axis=-1)
        return self.down_proj(op.silu(gate) * up)
