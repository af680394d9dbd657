"""Linear layers whose weight is stored in several tensors and dequantized when used.

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

from mlcx.quant.packing import Packing

__all__ = ["DequantizedLinear"]


class DequantizedLinear(nn.Module, ABC):
    """A linear layer (..., K) to (..., N); the bias, if any, is not quantized.

    The parameters are the packing's parts; a subclass says what they stand for.
    """

    def __init__(self, linear: nn.Linear, packing: Packing) -> None:
        self.shape = (int(linear.out_features), int(linear.in_features))
        for name, part in packing.parts("weight", self.shape).items():
            setattr(self, name, nn.Parameter(*part))
        self.out_dtype = linear.out_dtype
        self.bias = linear.bias

    @abstractmethod
    def stored(self) -> list[nn.Tensor]:
        """Return the parameters that the weight is dequantized from."""

    @abstractmethod
    def element(
        self, stored: tuple[te.Tensor, ...], n: tirx.Expr, k: tirx.Expr
    ) -> tirx.Expr:
        """Return ``W[n, k]`` in the model's dtype, of what is ``stored``."""

    @abstractmethod
    def attributes(self) -> Mapping[str, int]:
        """Return how a compiler knows the dequantizing function."""

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        """Return ``x @ weight.T + bias``."""

        def dequantize(*stored: te.Tensor) -> te.Tensor:
            return te.compute(
                self.shape, lambda n, k: self.element(stored, n, k), name="dequantize"
            )

        weight = op.tensor_expr_op(
            dequantize, "dequantize", self.stored(), attrs=dict(self.attributes())
        )
        y = op.matmul(x, op.permute_dims(weight), out_dtype=self.out_dtype)
        return y if self.bias is None else y + op.astype(self.bias, y.dtype)
