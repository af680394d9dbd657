"""Experts whose stacked weights are stored group-quantized."""

from __future__ import annotations

from tvm.relax.frontend import nn

from mlcx.nn.moe import Experts, Routing, experts_product
from mlcx.quant.group import GroupPacking
from mlcx.quant.layers import GroupWeight

__all__ = ["GroupExperts"]


class GroupExperts(GroupWeight):
    """A linear layer of each expert: ``q_weight`` (E, N, ...), ``q_scale`` alike."""

    def __init__(self, experts: Experts, packing: GroupPacking) -> None:
        super().__init__(tuple(map(int, experts.weight.shape)), packing)
        self.out_dtype = experts.out_dtype

    def forward(self, x: nn.Tensor, routing: Routing) -> nn.Tensor:
        """Return (t * k, N) of ``x``, see `experts_product`."""
        return experts_product(x, self.dequantize(), routing, self.out_dtype)
