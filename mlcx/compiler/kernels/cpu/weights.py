"""How a weight ``W`` of shape (N, K) lies in memory: the formats that matmuls read.

Knows no model and no scheme; a scheme is turned into one of these by its pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["GroupQuantized", "Plain", "WeightFormat"]

_WORDS = (4, 8)
"""How many words a group may have, so that vectors and groups end together."""


@dataclass(frozen=True)
class GroupQuantized:
    """Unsigned codes of ``bits`` bits, first code of a word in its lowest bits.

    ``q_weight`` uint32 (N, words * g) and ``q_scale`` (N, g), g = ceil(K / group_size);
    ``W[n, k] = (code - zero) * q_scale[n, k // group_size]``. Both are stored
    transposed when the format is.
    """

    bits: int
    group_size: int
    scale_dtype: str
    transposed: bool = False

    def __post_init__(self) -> None:
        assert self.group_size in {words * self.codes for words in _WORDS}

    @property
    def codes(self) -> int:
        """Codes in a word; bits left over on top are zero."""
        return 32 // self.bits

    @property
    def words(self) -> int:
        """Words in a group."""
        return self.group_size // self.codes

    @property
    def zero(self) -> int:
        """The code of the value 0."""
        return (1 << (self.bits - 1)) - 1

    def groups(self, k: int) -> int:
        """Return how many groups a row of ``k`` weights takes."""
        return -(-k // self.group_size)

    def row_words(self, k: int) -> int:
        """Return how many words a row of ``k`` weights takes."""
        return self.words * self.groups(k)

    def rest_lanes(self, lanes: int) -> int:
        """Return the width of vectors for what vectors of ``lanes`` leave of a row."""
        return min(self.words, lanes)


@dataclass(frozen=True)
class Plain:
    """``weight`` (N, K), row-major."""

    dtype: str


WeightFormat: TypeAlias = GroupQuantized | Plain
