"""Weights that AutoAWQ or GPTQ quantized: codes of 4 bits with a scale and a zero.

A weight (N, K) is cut along K into groups of 128. A code of it stands for

    (code - zero[k // 128, n]) * scale[k // 128, n]       in float16.

Codes and zeros lie in words of eight neighbours along N, (K, N / 8) and (K / 128,
N / 8), those of even columns in the lower half of a word and those of odd ones in the
upper. That is how AutoAWQ's "GEMM" checkpoints have them, and how they are stored.

GPTQ has the same codes, scales and zeros, so nothing is lost by turning its words into
these. It packs codes along K, (K / 8, N), and zeros along N, both in plain order, and
it stores each zero less 1; a zero of 0 is then 15.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from mlcx.errors import UsageError
from mlcx.quant.packing import Given, Parts
from mlcx.quant.plain import Array
from mlcx.recipe import Join

__all__ = ["SHIFTS", "AwqPacking", "GptqPacking", "gptq_codes", "gptq_zeros"]

SHIFTS = tuple(4 * (place % 2 * 4 + place // 2) for place in range(8))
"""Where in a word the codes of eight neighbouring columns begin, in bits."""

_PER_WORD = len(SHIFTS)
_PLAIN = np.arange(0, 32, 4, dtype=np.uint32)


@dataclass(frozen=True)
class AwqPacking(Given):
    """A weight (N, K) in words along N, with scales and zeros of groups along K."""

    group_size: int = 128
    kind: Literal["awq"] = "awq"
    model_dtype: Literal["float16"] = "float16"
    storage_dtype: Literal["uint32"] = "uint32"

    def parts(self, name: str, shape: tuple[int, ...]) -> Parts:
        """Return the shapes and dtypes of what ``<module>.weight`` is stored as.

        Args:
            name: The parameter's, ending in ``weight``.
            shape: (N, K).

        Raises:
            UsageError: There are no whole words or groups.
        """
        n, k = shape
        if n % _PER_WORD or k % self.group_size:
            raise UsageError(
                f"{name} is {n} x {k}: AWQ's format needs a multiple of {_PER_WORD} "
                f"rows and of {self.group_size} columns; choose another quantization"
            )
        module = name.removesuffix("weight")
        groups, words = k // self.group_size, n // _PER_WORD
        return {
            f"{module}qweight": ((k, words), self.storage_dtype),
            f"{module}qzeros": ((groups, words), self.storage_dtype),
            f"{module}scales": ((groups, n), self.model_dtype),
        }

    def joins(self) -> dict[str, Join]:
        """Return how weights that are fused are, by the name of the part."""
        return dict.fromkeys(("qweight", "qzeros", "scales"), Join("columns"))

    def unpack(self, packed: Mapping[str, Array], columns: int) -> Array:
        """Return the weight (N, columns) in float16."""
        codes = _taken_apart(packed["qweight"], SHIFTS)[:columns]
        zeros, scales = _taken_apart(packed["qzeros"], SHIFTS), packed["scales"]
        zeros, scales = (
            np.repeat(each, self.group_size, axis=0)[:columns]
            for each in (zeros, scales)
        )
        values = codes.astype(np.int8) - zeros.astype(np.int8)
        return np.ascontiguousarray((values.astype(np.float16) * scales).T)


@dataclass(frozen=True)
class GptqPacking(AwqPacking):
    """The same, made of a checkpoint of GPTQ whose columns are in their own order."""

    unused: ClassVar[tuple[str, ...]] = ("g_idx",)
    """The group of each column, which follows from its number."""

    def joins(self) -> dict[str, Join]:
        """Return how weights that are fused are, by the name of the part."""
        return {
            "qweight": Join("columns", taller=_PER_WORD, convert=gptq_codes),
            "qzeros": Join("columns", convert=gptq_zeros),
            "scales": Join("columns"),
        }


def gptq_codes(words: Array) -> Array:
    """Return GPTQ's ``qweight`` (K / 8, N) as AWQ has it, (K, N / 8)."""
    codes = (words[:, None, :] >> _PLAIN[:, None]) & np.uint32(15)
    return _put_together(codes.reshape(-1, words.shape[1]))


def gptq_zeros(words: Array) -> Array:
    """Return GPTQ's ``qzeros`` (K / 128, N / 8) as AWQ has them, of the same shape."""
    zeros = _taken_apart(words, _PLAIN)
    return _put_together((zeros + np.uint32(1)) & np.uint32(15))


def _taken_apart(words: Array, shifts: object) -> Array:
    """Return the codes (r, 8 * c) in ``words`` (r, c)."""
    codes = (words[..., None] >> np.asarray(shifts, np.uint32)) & np.uint32(15)
    return codes.reshape(len(words), -1)


def _put_together(codes: Array) -> Array:
    """Return the words (r, c) of ``codes`` (r, 8 * c) in AWQ's order."""
    placed = codes.reshape(len(codes), -1, _PER_WORD) << np.array(SHIFTS, np.uint32)
    words: Array = np.bitwise_or.reduce(placed, axis=-1)
    return words
