"""Layer normalization that does not move what it has scaled: weights, no biases."""

from __future__ import annotations

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

__all__ = ["HeadNorm", "ScalingLayerNorm"]


class ScalingLayerNorm(nn.Module):
    """Of the last axis, ``width`` wide."""

    def __init__(self, width: int, epsilon: float) -> None:
        self.width = width
        self.epsilon = epsilon
        self.weight = nn.Parameter((width,))

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        """Map ``x`` (..., width) to the same shape."""
        none = op.zeros((self.width,), x.dtype)
        return op.layer_norm(x, self.width, self.weight, none, self.epsilon)


class HeadNorm(nn.Module):
    """Of each of ``heads`` equal parts of the last axis, with weights of its own."""

    def __init__(self, heads: int, width: int, epsilon: float) -> None:
        self.heads = heads
        self.epsilon = epsilon
        self.weight = nn.Parameter((heads, width))

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        """Map ``x`` (..., heads * width) to the same shape."""
        channels = x.shape[-1]
        weight = op.reshape(self.weight, (channels,))
        none = op.zeros((channels,), x.dtype)
        return op.group_norm(x, self.heads, weight, none, self.epsilon, -1, [])
