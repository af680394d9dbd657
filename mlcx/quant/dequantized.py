"""Layers whose weight is stored in several tensors and dequantized when used.

They say what is computed, not how: on a device, a pass of the compiler finds the
dequantization by its attributes and puts a fused kernel in its place. Activations are
not quantized.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from tvm import te, tirx
from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.nn.moe import Experts, Routing, experts_product
from mlcx.quant.packing import Packing

__all__ = ["DequantizedExperts", "DequantizedLinear", "DequantizedWeight"]


class DequantizedWeight(nn.Module, ABC):
    """A weight (..., N, K).

    The parameters are the packing's parts; a subclass says what they stand for.
    """

    def __init__(self, shape: tuple[int, ...], packing: Packing) -> None:
        self.shape = shape
        for name, part in packing.parts("weight", shape).items():
            setattr(self, name, nn.Parameter(*part))

    @abstractmethod
    def stored(self) -> list[nn.Tensor]:
        """Return the parameters that the weight is dequantized from."""

    @abstractmethod
    def element(self, stored: tuple[te.Tensor, ...], *at: tirx.Expr) -> tirx.Expr:
        """Return ``W[at]`` in the model's dtype, of what is ``stored``."""

    @abstractmethod
    def attributes(self) -> Mapping[str, int]:
        """Return how a compiler knows the dequantizing function."""

    def dequantize(self) -> nn.Tensor:
        """Return the whole weight in the model's dtype."""

        def dequantize(*stored: te.Tensor) -> te.Tensor:
            return te.compute(
                self.shape, lambda *at: self.element(stored, *at), name="dequantize"
            )

        return op.tensor_expr_op(
            dequantize, "dequantize", self.stored(), attrs=dict(self.attributes())
        )


class DequantizedLinear(DequantizedWeight):
    """A linear layer (..., K) to (..., N); the bias, if any, is not quantized."""

    def __init__(self, linear: nn.Linear, packing: Packing) -> None:
        super().__init__((int(linear.out_features), int(linear.in_features)), packing)
        self.out_dtype = linear.out_dtype
        self.bias = linear.bias

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        """Return ``x @ weight.T + bias``."""
        weight = op.permute_dims(self.dequantize())
        y = op.matmul(x, weight, out_dtype=self.out_dtype)
        return y if self.bias is None else y + op.astype(self.bias, y.dtype)


class DequantizedExperts(DequantizedWeight):
    """A linear layer of each expert; the weight is (E, N, K)."""

    def __init__(self, experts: Experts, packing: Packing) -> None:
        super().__init__(tuple(map(int, experts.weight.shape)), packing)
        self.out_dtype = experts.out_dtype

    def forward(self, x: nn.Tensor, routing: Routing) -> nn.Tensor:
        """Return (t * k, N) of ``x``, see `experts_product`."""
        return experts_product(x, self.dequantize(), routing, self.out_dtype)
