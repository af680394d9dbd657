"""Linear layers whose weight is in FasterTransformer's int4, read where its codes are.

This is how a device computes with them that has none of the kernels they are made for:
slowly.
"""

from __future__ import annotations

from collections.abc import Mapping

from tvm import te, tirx
from tvm.relax.frontend import nn

from mlcx.quant.dequantized import DequantizedLinear
from mlcx.quant.ft import TILE, FtPacking

__all__ = ["FtLinear"]


class FtLinear(DequantizedLinear):
    """A weight (N, K) as int4 in the order of tensor cores."""

    q_weight: nn.Parameter
    q_scale: nn.Parameter

    def __init__(self, linear: nn.Linear, packing: FtPacking) -> None:
        super().__init__(linear, packing)
        self.model_dtype = packing.model_dtype

    def stored(self) -> list[nn.Tensor]:
        """Return codes and scales."""
        return [self.q_weight, self.q_scale]

    def element(self, stored: tuple[te.Tensor, ...], *at: tirx.Expr) -> tirx.Expr:
        """Return ``W[at]``."""
        q_weight, q_scale = stored
        (rows, columns), (n, k) = self.shape, at
        half = _half_byte(n, k, columns)
        byte = q_weight[half // rows, half % rows // 2].astype("uint8")
        code = byte >> (half % 2 * 4).astype("uint8") & tirx.const(15, "uint8")
        value = code.astype("int32") - tirx.const(8, "int32")
        return value.astype(self.model_dtype) * q_scale[0, n]

    def attributes(self) -> Mapping[str, int]:
        """Return nothing: there is no kernel to put in its place."""
        return {}


def _half_byte(n: tirx.Expr, k: tirx.Expr, columns: int) -> tirx.Expr:
    """Return where in memory the code of element (n, k) is, as `ft` has the order."""
    within = k % 32
    place = within % 8 // 2 * 8 + within // 8 * 2 + within % 2
    slot = place % 8 // 2 + place % 2 * 4
    tile = (n // 4 * (columns // TILE) + k // TILE) * 4 + n % 4
    return tile * TILE + k % TILE // 32 * 32 + place // 8 * 8 + slot
