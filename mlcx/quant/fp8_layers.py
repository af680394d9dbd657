"""Layers whose weight is in 8-bit floats, with a scale or with many.

What is stored of activations is for kernels that round them too; nothing here does.
"""

from __future__ import annotations

from tvm import te, tirx
from tvm.relax.frontend import nn

from mlcx.nn.moe import Experts
from mlcx.quant.block_scale import BlockScalePacking
from mlcx.quant.dequantized import (
    DequantizedExperts,
    DequantizedLinear,
    DequantizedWeight,
)
from mlcx.quant.fp8 import Fp8Packing, ScaledFp8Packing

__all__ = [
    "BLOCK_COLUMNS",
    "BLOCK_ROWS",
    "BlockScaleExperts",
    "BlockScaleLinear",
    "Fp8Experts",
    "Fp8Linear",
]

BLOCK_ROWS = "mlcx.block_rows"
"""Attribute of a function that dequantizes 8-bit floats: rows of a block that has a
scale of its own; 0: there are no blocks."""

BLOCK_COLUMNS = "mlcx.block_columns"
"""Attribute of a function that dequantizes 8-bit floats: columns of a block."""


class _Fp8(DequantizedWeight):
    """With a scale for the whole weight, all experts included, or without."""

    q_weight: nn.Parameter
    q_scale: nn.Parameter
    packing: Fp8Packing

    def stored(self) -> list[nn.Tensor]:
        """Return the weight and the scale that there may be."""
        scaled = isinstance(self.packing, ScaledFp8Packing)
        return [self.q_weight, self.q_scale] if scaled else [self.q_weight]

    def element(self, stored: tuple[te.Tensor, ...], *at: tirx.Expr) -> tirx.Expr:
        """Return ``W[at]``; the product is exact before it is rounded."""
        (weight, *scales), dtype = stored, self.packing.model_dtype
        if not scales:
            return weight[at].astype(dtype)
        return (weight[at].astype("float32") * scales[0][0]).astype(dtype)

    def attributes(self) -> dict[str, int]:
        """Say that there are no blocks."""
        return {BLOCK_ROWS: 0, BLOCK_COLUMNS: 0}


class Fp8Linear(_Fp8, DequantizedLinear):
    """A linear layer."""

    def __init__(self, linear: nn.Linear, packing: Fp8Packing) -> None:
        super().__init__(linear, packing)
        self.packing = packing


class Fp8Experts(_Fp8, DequantizedExperts):
    """A linear layer of each expert."""

    def __init__(self, experts: Experts, packing: Fp8Packing) -> None:
        super().__init__(experts, packing)
        self.packing = packing


class _BlockScale(DequantizedWeight):
    """With a scale for each block of the weight, or of each expert's."""

    weight: nn.Parameter
    weight_scale_inv: nn.Parameter
    packing: BlockScalePacking

    def stored(self) -> list[nn.Tensor]:
        """Return the weight and its scales."""
        return [self.weight, self.weight_scale_inv]

    def element(self, stored: tuple[te.Tensor, ...], *at: tirx.Expr) -> tirx.Expr:
        """Return ``W[at]``."""
        (weight, scales), (*expert, n, k) = stored, at
        block = (*expert, n // self.packing.rows, k // self.packing.columns)
        value = weight[at].astype("float32") * scales[block]
        return value.astype(self.packing.model_dtype)

    def attributes(self) -> dict[str, int]:
        """Return the size of a block."""
        return {BLOCK_ROWS: self.packing.rows, BLOCK_COLUMNS: self.packing.columns}


class BlockScaleLinear(_BlockScale, DequantizedLinear):
    """A linear layer."""

    def __init__(self, linear: nn.Linear, packing: BlockScalePacking) -> None:
        super().__init__(linear, packing)
        self.packing = packing


class BlockScaleExperts(_BlockScale, DequantizedExperts):
    """A linear layer of each expert."""

    def __init__(self, experts: Experts, packing: BlockScalePacking) -> None:
        super().__init__(experts, packing)
        self.packing = packing
