"""Normalization of groups of channels, such as the heads of an attention."""

from __future__ import annotations

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

__all__ = ["GroupNorm"]


class GroupNorm(nn.Module):
    """Layer normalization of each of ``groups`` equal parts of the last axis."""

    def __init__(self, groups: int, channels: int, epsilon: float) -> None:
        self.groups = groups
        self.epsilon = epsilon
        self.weight = nn.Parameter((channels,))
        self.bias = nn.Parameter((channels,))

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        """Map ``x`` (s, channels) to the same shape."""
        return op.group_norm(
            x, self.groups, self.weight, self.bias, self.epsilon, -1, []
        )
