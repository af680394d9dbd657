"""Linear layers whose weight is in 8-bit floats, with a scale or with many.

What is stored of activations is for kernels that round them too; nothing here does.
"""

from __future__ import annotations

from tvm import te, tirx
from tvm.relax.frontend import nn

from mlcx.quant.block_scale import BlockScalePacking
from mlcx.quant.dequantized import DequantizedLinear
from mlcx.quant.fp8 import Fp8Packing, ScaledFp8Packing

__all__ = ["BLOCK_COLUMNS", "BLOCK_ROWS", "BlockScaleLinear", "Fp8Linear"]

BLOCK_ROWS = "mlcx.block_rows"
"""Attribute of a function that dequantizes 8-bit floats: rows of a block that has a
scale of its own; 0: there are no blocks."""

BLOCK_COLUMNS = "mlcx.block_columns"
"""Attribute of a function that dequantizes 8-bit floats: columns of a block."""


class Fp8Linear(DequantizedLinear):
    """With a scale for the whole weight, or without."""

    q_weight: nn.Parameter
    q_scale: nn.Parameter

    def __init__(self, linear: nn.Linear, packing: Fp8Packing) -> None:
        super().__init__(linear, packing)
        self.model_dtype = packing.model_dtype
        self.scaled = isinstance(packing, ScaledFp8Packing)

    def stored(self) -> list[nn.Tensor]:
        """Return the weight and the scale that there may be."""
        return [self.q_weight, self.q_scale] if self.scaled else [self.q_weight]

    def element(
        self, stored: tuple[te.Tensor, ...], n: tirx.Expr, k: tirx.Expr
    ) -> tirx.Expr:
        """Return ``W[n, k]``; the product is exact before it is rounded."""
        weight, *scales = stored
        if not scales:
            return weight[n, k].astype(self.model_dtype)
        return (weight[n, k].astype("float32") * scales[0][0]).astype(self.model_dtype)

    def attributes(self) -> dict[str, int]:
        """Say that there are no blocks."""
        return {BLOCK_ROWS: 0, BLOCK_COLUMNS: 0}


class BlockScaleLinear(DequantizedLinear):
    """With a scale for each block of the weight."""

    weight: nn.Parameter
    weight_scale_inv: nn.Parameter

    def __init__(self, linear: nn.Linear, packing: BlockScalePacking) -> None:
        super().__init__(linear, packing)
        self.packing = packing

    def stored(self) -> list[nn.Tensor]:
        """Return the weight and its scales."""
        return [self.weight, self.weight_scale_inv]

    def element(
        self, stored: tuple[te.Tensor, ...], n: tirx.Expr, k: tirx.Expr
    ) -> tirx.Expr:
        """Return ``W[n, k]``."""
        weight, scales = stored
        scale = scales[n // self.packing.rows, k // self.packing.columns]
        value = weight[n, k].astype("float32") * scale
        return value.astype(self.packing.model_dtype)

    def attributes(self) -> dict[str, int]:
        """Return the size of a block."""
        return {BLOCK_ROWS: self.packing.rows, BLOCK_COLUMNS: self.packing.columns}
