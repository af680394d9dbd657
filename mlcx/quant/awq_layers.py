"""Linear layers whose weight is in AWQ's words."""

from __future__ import annotations

from tvm import te, tirx
from tvm.relax.frontend import nn

from mlcx.quant.awq import SHIFTS, AwqPacking
from mlcx.quant.dequantized import DequantizedLinear

__all__ = ["AWQ_GROUP_SIZE", "AwqLinear"]

AWQ_GROUP_SIZE = "mlcx.awq_group_size"
"""Attribute of a function that dequantizes AWQ's words: rows of them that share scales.
"""

_LOWER_BITS, _HIGHER_BITS = SHIFTS[1], SHIFTS[2]
_PER_WORD = len(SHIFTS)


class AwqLinear(DequantizedLinear):
    """A weight (N, K) in words of eight neighbours along N."""

    qweight: nn.Parameter
    qzeros: nn.Parameter
    scales: nn.Parameter

    def __init__(self, linear: nn.Linear, packing: AwqPacking) -> None:
        super().__init__(linear, packing)
        self.packing = packing

    def stored(self) -> list[nn.Tensor]:
        """Return codes, zeros and scales."""
        return [self.qweight, self.qzeros, self.scales]

    def element(self, stored: tuple[te.Tensor, ...], *at: tirx.Expr) -> tirx.Expr:
        """Return ``W[at]``."""
        n, k = at
        qweight, qzeros, scales = stored
        group = k // self.packing.group_size
        code = _code(qweight, k, n) - _code(qzeros, group, n)
        return code.astype(self.packing.model_dtype) * scales[group, n]

    def attributes(self) -> dict[str, int]:
        """Return the size of a group."""
        return {AWQ_GROUP_SIZE: self.packing.group_size}


def _code(words: te.Tensor, row: tirx.Expr, n: tirx.Expr) -> tirx.Expr:
    """Return the code of column ``n`` as int32."""
    place = n % _PER_WORD
    shift = place % 2 * _LOWER_BITS + place // 2 * _HIGHER_BITS
    word = words[row, n // _PER_WORD] >> shift.astype("uint32")
    return (word & tirx.const(15, "uint32")).astype("int32")
