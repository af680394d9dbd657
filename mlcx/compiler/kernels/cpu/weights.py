"""How a weight ``W`` of shape (N, K) lies in memory: the formats that matmuls read.

Knows no model and no scheme; a scheme is turned into one of these by its pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["WORDS", "GroupQuantized", "Plain", "WeightFormat"]

WORDS = 4
"""Words in a group, in every group-quantized format."""


@dataclass(frozen=True)
class GroupQuantized:
    """Unsigned codes of ``bits`` bits, first code of a word in its lowest bits.

    ``q_weight`` uint32 (N, 4g) and ``q_scale`` (N, g), g = ceil(K / group_size);
    ``W[n, k] = (code - zero) * q_scale[n, k // group_size]``. Both are stored
    transposed when the format is.
    """

    bits: int
    group_size: int
    scale_dtype: str
    transposed: bool = False

    def __post_init__(self) -> None:
        assert self.group_size == WORDS * self.codes

    @property
    def codes(self) -> int:
        """Codes in a word; bits left over on top are zero."""
        return 32 // self.bits

    @property
    def zero(self) -> int:
        """The code of the value 0."""
        return (1 << (self.bits - 1)) - 1

    def groups(self, k: int) -> int:
        """Return how many groups a row of ``k`` weights takes."""
        return -(-k // self.group_size)


@dataclass(frozen=True)
class Plain:
    """``weight`` (N, K), row-major."""

    dtype: str


WeightFormat: TypeAlias = GroupQuantized | Plain
