"""How a weight ``W`` of shape (N, K) lies in memory: the formats that matmuls read.

Knows no model and no scheme; a scheme is turned into one of these by its pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from tvm.ir import Expr

__all__ = [
    "Arrays",
    "Float8",
    "GroupQuantized",
    "Plain",
    "WeightFormat",
    "WordsOfColumns",
]

Arrays: TypeAlias = dict[str, tuple[tuple[Expr | int, ...], str]]
"""Names of what a weight is stored as, in order, to shapes and dtypes."""

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

    def arrays(self, n: Expr | int, k: int) -> Arrays:
        """Return what a weight (n, k) is stored as."""
        words, scales = (n, self.row_words(k)), (n, self.groups(k))
        if self.transposed:
            words, scales = words[::-1], scales[::-1]
        return {"q_weight": (words, "uint32"), "q_scale": (scales, self.scale_dtype)}

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

    def arrays(self, n: Expr | int, k: int) -> Arrays:
        """Return what a weight (n, k) is stored as."""
        return {"weight": ((n, k), self.dtype)}


@dataclass(frozen=True)
class Float8:
    """``weight`` (N, K) of 8-bit floats, row-major, and what it is to be multiplied by.

    With blocks, that is ``scale[n // rows, k // columns]``, else ``scale[0]`` if
    ``scaled``; both are float32.
    """

    dtype: str
    scaled: bool = False
    rows: int = 0
    """Of a block; 0: there are none."""
    columns: int = 0

    def arrays(self, n: Expr | int, k: int) -> Arrays:
        """Return what a weight (n, k) is stored as."""
        weight: Arrays = {"weight": ((n, k), self.dtype)}
        if self.rows:
            blocks = (-(-n // self.rows), -(-k // self.columns))
            return weight | {"scale": (blocks, "float32")}
        return weight | {"scale": ((1,), "float32")} if self.scaled else weight

    def lanes(self, lanes: int) -> int:
        """Return how long vectors along K may be that are within a block each."""
        return math.gcd(lanes, self.columns) if self.rows else lanes


@dataclass(frozen=True)
class WordsOfColumns:
    """Codes of 4 bits, of eight neighbours along N in a word; groups along K.

    ``qweight`` uint32 (K, N / 8), ``qzeros`` uint32 (g, N / 8) and ``scales`` (g, N),
    g = K / group_size; ``W[n, k] = (code - zero[k // group_size, n]) * scales[…]``.
    """

    shifts: tuple[int, ...]
    """Where in a word the codes of its columns begin, in bits."""
    group_size: int
    scale_dtype: str

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return 32 // len(self.shifts)

    @property
    def codes(self) -> int:
        """Codes in a word."""
        return len(self.shifts)

    def arrays(self, n: Expr | int, k: int) -> Arrays:
        """Return what a weight (n, k) is stored as."""
        groups, words = k // self.group_size, n // self.codes
        return {
            "qweight": ((k, words), "uint32"),
            "qzeros": ((groups, words), "uint32"),
            "scales": ((groups, n), self.scale_dtype),
        }


WeightFormat: TypeAlias = GroupQuantized | Plain | Float8 | WordsOfColumns
