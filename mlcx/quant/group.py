"""Group quantization: small symmetric codes that share a scale within a group.

A weight (..., K) is cut along K into groups of G elements, the last one filled with
zeros. With M = 2**(bits - 1) - 1, each group has

    scale = max(abs(w)) / M,    code = clip(round(w / scale + M), 0, 2 * M),

rounding ties to even, and stands for ``(code - M) * scale``. Codes lie in 32-bit words,
the first in the lowest bits; those beyond K are 0, as are those of a group of zeros.

In float16 each operation rounds to float16, and exact ties are common, so that these
roundings decide codes. numpy's float16 arithmetic is slow; here it is float32
arithmetic, rounded to 11 significant bits after each step. That gives the same bits
since float32 has more than twice as many (Figueroa, "When is double rounding
innocuous?", 1995).

In bfloat16 only what is stored rounds: the scale. The quotient and the sum are float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import ml_dtypes
import numpy as np

from mlcx.quant.packing import Layer, Parts
from mlcx.quant.plain import Array, all_finite, cast, dtype_named
from mlcx.quant.scratch import Scratch

__all__ = ["GroupPacking", "GroupScheme"]

_GROUPS_AT_ONCE = 4096
"""Groups worked on together: their float32 arrays stay in a core's cache."""

_INTEGER = np.float32(1.5 * 2**23)
"""Added to a small float32 it rounds it to an integer, which the low bits then hold."""

_HALF_SPLIT = np.float32(2**13 + 1)
"""Veltkamp's constant that leaves 24 - 13 = 11 significant bits."""

_HALF_REBIAS = np.float32(2.0**112)
"""Ratio of the exponents of float32 and float16 with the same bits: 2**(127 - 15)."""


@dataclass(frozen=True)
class GroupPacking:
    """A weight in groups along the last axis; see the module's formulas."""

    bits: int
    group_size: int
    model_dtype: str
    layout: Literal["NK", "KN"] = "NK"
    """Of a weight (N, K); KN: words and scales are stored transposed."""
    kind: Literal["group"] = "group"
    storage_dtype: Literal["uint32"] = "uint32"
    multiple: Literal[1] = 1

    @property
    def max_code(self) -> int:
        """M: the code of zero, and half of the largest code."""
        return (1 << (self.bits - 1)) - 1

    @property
    def codes_per_word(self) -> int:
        """Codes in one word of storage."""
        return 32 // self.bits

    @property
    def words_per_group(self) -> int:
        """Words of storage for one group."""
        return self.group_size // self.codes_per_word

    @property
    def transposed(self) -> bool:
        """Whether packed rows are columns of every part."""
        return self.layout == "KN"

    def by_rows(self) -> GroupPacking:
        """Return what packs a table that is read by row: never transposed."""
        return replace(self, layout="NK")

    def parts(self, name: str, shape: tuple[int, ...]) -> Parts:
        """Return the shape and dtype of what ``<module>.weight`` is stored as, by name.

        Args:
            name: The parameter's, ending in ``weight``.
            shape: (..., K); (N, K) for the layout KN.
        """
        module = name.removesuffix("weight")
        *rows, columns = shape
        groups = -(-columns // self.group_size)
        words, scales = (*rows, groups * self.words_per_group), (*rows, groups)
        if self.transposed:
            words, scales = words[::-1], scales[::-1]
        return {
            f"{module}q_weight": (words, self.storage_dtype),
            f"{module}q_scale": (scales, self.model_dtype),
        }

    def pack(self, weight: Array, scratch: Scratch | None = None) -> dict[str, Array]:
        """Quantize ``weight`` (..., K), which is in the model's dtype and finite.

        Returns:
            ``q_weight`` uint32 (..., words) and ``q_scale`` (..., groups), or for the
            layout KN their transposes. The scale of a group that is not finite is not
            finite either.
        """
        *rows, columns = weight.shape
        filled = _fill(weight, self.group_size)
        groups = filled.reshape(-1, self.group_size)
        words = np.empty((len(groups), self.words_per_group), np.uint32)
        scales = np.empty(len(groups), weight.dtype)
        scratch = scratch or Scratch()
        with np.errstate(all="ignore"):
            for start in range(0, len(groups), _GROUPS_AT_ONCE):
                some = slice(start, start + _GROUPS_AT_ONCE)
                self._pack(groups[some], words[some], scales[some], scratch)
        words = words.reshape(*rows, -1)
        if filled.shape[-1] != columns:
            words &= self._used(columns)
        packed = {"q_weight": words, "q_scale": scales.reshape(*rows, -1)}
        return self._turned(packed) if self.transposed else packed

    def is_finite(self, packed: Mapping[str, Array]) -> bool:
        """Say whether every weight that ``packed`` was made of was finite.

        One that is not makes the scale of its group so.
        """
        return all_finite(packed["q_scale"])

    def unpack(self, packed: Mapping[str, Array], columns: int) -> Array:
        """Return the weight (..., columns) in the model's dtype that ``packed`` is for.

        Args:
            packed: ``q_weight`` and ``q_scale`` as ``pack`` returns them.
            columns: K, which the packed shapes only bound from above.
        """
        by_rows = self._turned(packed) if self.transposed else packed
        words, scales = by_rows["q_weight"], by_rows["q_scale"]
        shifts = np.arange(self.codes_per_word, dtype=np.uint32) * np.uint32(self.bits)
        codes = (words[..., None] >> shifts) & np.uint32((1 << self.bits) - 1)
        values = codes.astype(np.float32).reshape(*words.shape[:-1], -1)
        values -= np.float32(self.max_code)
        values *= np.repeat(scales.astype(np.float32), self.group_size, axis=-1)
        return cast(values[..., :columns], dtype_named(self.model_dtype))

    @property
    def _divides_unrounded(self) -> bool:
        """Whether weights are divided by the scale before it is rounded.

        MLC transposes it in between, so that what it divides by is an intermediate,
        which in bfloat16 is not rounded.
        """
        return self.transposed and self.model_dtype == "bfloat16"

    @staticmethod
    def _turned(packed: Mapping[str, Array]) -> dict[str, Array]:
        return {name: np.ascontiguousarray(part.T) for name, part in packed.items()}

    def _pack(
        self, groups: Array, words: Array, scales: Array, scratch: Scratch
    ) -> None:
        """Quantize ``groups`` (m, G) into ``words`` (m, words) and ``scales`` (m,)."""
        largest = _largest(groups, scratch).astype(np.float32)
        exact = largest / np.float32(self.max_code)
        scales[:] = exact.astype(scales.dtype)
        divisors = exact if self._divides_unrounded else scales.astype(np.float32)
        values = scratch.take("values", (2, groups.size // 2), np.float32)
        _widen_pairs(groups, values)
        shared = np.repeat(divisors, self.group_size // 2)
        np.divide(values, shared, out=values)
        most = np.float32(self.max_code)
        if divisors.min() < ml_dtypes.finfo(scales.dtype).smallest_normal:
            # A scale that lost its precision: quotients leave the range or are 0 / 0,
            # which fmax turns into the lowest code.
            np.fmax(values, -most, out=values)
            np.fmin(values, most, out=values)
        halves = scales.dtype == np.float16
        if halves:
            _round_to_half(values, scratch)
        np.add(values, most, out=values)
        if halves:
            _round_to_half(values, scratch)
        np.add(values, _INTEGER, out=values)
        self._join(values.view(np.uint32), words)

    def _join(self, codes: Array, words: Array) -> None:
        """Pack ``codes`` (2, m * G / 2), of even and of odd elements, into ``words``.

        The codes are in the lowest bits of their elements, below the bits of a float.
        """
        even, odd = codes
        np.left_shift(odd, self.bits, out=odd)
        pairs = np.bitwise_or(even, odd, out=even)
        if 32 % (2 * self.bits) == 0:
            of_pairs = words.view(f"u{self.bits // 4}").reshape(-1)
            np.copyto(of_pairs, pairs, casting="unsafe")
            return
        pairs &= np.uint32((1 << 2 * self.bits) - 1)
        of_words = pairs.reshape(*words.shape, -1)
        np.copyto(words, of_words[..., 0])
        for place in range(1, of_words.shape[-1]):
            words |= of_words[..., place] << np.uint32(2 * self.bits * place)

    def _used(self, columns: int) -> Array:
        """Return for each word of a row the bits of codes below ``columns``."""
        groups = -(-columns // self.group_size)
        shape = (groups * self.words_per_group, self.codes_per_word)
        used = np.arange(shape[0] * shape[1]).reshape(shape) < columns
        shifts = np.arange(shape[1], dtype=np.uint32) * np.uint32(self.bits)
        codes = np.where(used, np.uint32((1 << self.bits) - 1) << shifts, 0)
        kept: Array = np.bitwise_or.reduce(codes.astype(np.uint32), axis=-1)
        return kept


@dataclass(frozen=True)
class GroupScheme:
    """Every linear layer, embedding and expert in groups, but routers.

    Tables that are read by row and stacks of experts are never transposed.
    """

    name: str
    linear: GroupPacking
    quantize_embedding: bool = True
    quantize_final_fc: bool = True

    @property
    def model_dtype(self) -> str:
        """Of activations, of scales and of what is not quantized."""
        return self.linear.model_dtype

    def packing(self, layer: Layer) -> GroupPacking | None:
        """Return how the weight of ``layer`` is stored; None: as it is."""
        if layer.role == "embedding":
            return self.linear.by_rows() if self.quantize_embedding else None
        if layer.is_router or (layer.is_head and not self.quantize_final_fc):
            return None
        return self.linear if layer.role == "linear" else self.linear.by_rows()


def _fill(weight: Array, group_size: int) -> Array:
    """Return ``weight`` with zeros after its last axis up to a whole group."""
    missing = -weight.shape[-1] % group_size
    if not missing:
        return weight
    widths = [(0, 0)] * (weight.ndim - 1) + [(0, missing)]
    return np.pad(weight, widths)


def _largest(groups: Array, scratch: Scratch) -> Array:
    """Return the largest magnitude (m,) of each of ``groups`` (m, G); NaN wins.

    Magnitudes of floats order as the integers of the same bits do. The reduction runs
    over a transposed copy in pieces of 8 bytes, since numpy is slow on short rows.
    """
    lanes = 8 // groups.itemsize
    integer: np.dtype[Any] = np.dtype(f"u{groups.itemsize}")
    columns = groups.view(np.uint64).T
    copy = scratch.take("columns", columns.shape, np.uint64)
    np.copyto(copy, columns)
    bits = copy.view(integer)
    bits &= integer.type((1 << (8 * groups.itemsize - 1)) - 1)
    largest: Array = bits.max(axis=0)
    while lanes > 1:
        largest = np.maximum(largest[0::2], largest[1::2])
        lanes //= 2
    return largest.view(groups.dtype)


def _widen_pairs(groups: Array, values: Array) -> None:
    """Write ``groups`` (m, G) as float32: the even elements, then the odd ones."""
    flat = groups.reshape(-1)
    if flat.dtype == np.float32:
        values[0], values[1] = flat[0::2], flat[1::2]
        return
    # A word holds an even element below an odd one. bfloat16 is float32's upper half.
    words, bits = flat.view(np.int32), values.view(np.int32)
    np.left_shift(words, 16, out=bits[0])
    if flat.dtype != np.float16:
        np.bitwise_and(words, np.int32(-0x10000), out=bits[1])
        return
    np.copyto(bits[1], words)
    # A float16's exponent and mantissa go where float32 has them, and the
    # multiplication sets the exponent right.
    bits >>= 3
    bits &= np.int32(-0x70002000)
    values *= _HALF_REBIAS


def _round_to_half(values: Array, scratch: Scratch) -> None:
    """Round ``values`` in place to 11 significant bits, ties to even.

    Veltkamp's splitting: as float16 but for values below its normal range, whose
    lost precision no later step can see.
    """
    scaled = scratch.take("scaled", values.shape, np.float32)
    np.multiply(values, _HALF_SPLIT, out=scaled)
    np.subtract(scaled, values, out=values)
    np.subtract(scaled, values, out=values)
