"""FasterTransformer's int4: a scale for each row, in the order that tensor cores read.

A row of a weight (N, K) in float16 has the scale ``max(abs(w)) / 7``; a code is
``clip(round(w / scale), -8, 7)``, rounding ties to even, and stands for
``code * scale``. Each operation rounds to float16. A row of zeros has codes of zero.

The codes are stored for CUDA kernels of FasterTransformer and CUTLASS that multiply
float16 with int4, on GPUs of compute capability 7.5 to 8.9. What those read is, in the
order of memory (FasterTransformer's ``cutlass_preprocessors`` is the definition):

- four neighbouring rows of the weight after each other, 64 elements of each in turn;
- of each 32 elements, first two, then two that are eight further on, and so on, eight
  in all, then those that are left in the same way;
- eight codes to a word of 32 bits, each plus 8: the even ones in the lower half, the
  odd ones in the upper.

Rows of four make a piece of memory of their own, so that weights are converted a few
rows at a time. The shape of the stored tensor, (K, N / 2), is that of the codes before
they were put in this order and says nothing of where they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mlcx.errors import UsageError
from mlcx.quant.group import GroupPacking
from mlcx.quant.packing import Layer, Parts
from mlcx.quant.plain import Array, all_finite
from mlcx.quant.scratch import Scratch

__all__ = ["TILE", "FtPacking", "FtScheme", "in_order", "out_of_order"]

TILE = 64
"""Elements of a row that are stored before those of the next of its four."""

_ROWS: Literal[4] = 4
_FALLBACK = 8
"""Rows of a layer that is not packed like this unless there is a multiple of it."""

_ZERO = 8
"""The stored code of 0."""

_READ = np.array([8 * (i % 8 // 2) + i % 2 + 2 * (i // 8) for i in range(32)])
"""Number of the element at each place of 32."""

_SLOTS = np.array([0, 2, 4, 6, 1, 3, 5, 7])
"""Number of the element in each half byte of a word, from the lowest on."""


@dataclass(frozen=True)
class FtPacking:
    """A weight (N, K) as int4 in the order of tensor cores, and scales of rows."""

    kind: Literal["ft"] = "ft"
    model_dtype: Literal["float16"] = "float16"
    storage_dtype: Literal["int8"] = "int8"
    transposed: Literal[False] = False
    multiple: Literal[4] = _ROWS

    def parts(self, name: str, shape: tuple[int, ...]) -> Parts:
        """Return the shapes and dtypes of what ``<module>.weight`` is stored as.

        Raises:
            UsageError: There are no whole tiles.
        """
        n, k = shape
        if n % _FALLBACK or k % TILE:
            raise UsageError(
                f"{name} is {n} x {k}: FasterTransformer's int4 needs a multiple of "
                f"{_FALLBACK} rows and of {TILE} columns; choose another quantization"
            )
        module = name.removesuffix("weight")
        return {
            f"{module}q_weight": ((k, n // 2), self.storage_dtype),
            f"{module}q_scale": ((1, n), self.model_dtype),
        }

    def pack(self, weight: Array, scratch: Scratch | None = None) -> dict[str, Array]:
        """Quantize rows (4 * r, K) in float16.

        Returns:
            ``q_weight`` int8 (4 * r * K / 2,), and ``q_scale`` (4 * r,).
        """
        with np.errstate(all="ignore"):
            scales = np.abs(weight).max(axis=1) / np.float16(7)
            codes = np.clip(np.rint(weight / scales[:, None]), -8, 7)
        whole = np.nan_to_num(codes).astype(np.int8)
        return {"q_weight": in_order(whole), "q_scale": scales}

    def is_finite(self, packed: Mapping[str, Array]) -> bool:
        """Say whether every weight that ``packed`` was made of was finite."""
        return all_finite(packed["q_scale"])

    def unpack(self, packed: Mapping[str, Array], columns: int) -> Array:
        """Return the weight (N, columns) in float16."""
        codes = out_of_order(packed["q_weight"], columns)
        weight: Array = codes.astype(np.float16) * packed["q_scale"].reshape(-1, 1)
        return weight


@dataclass(frozen=True)
class FtScheme:
    """Linear layers in int4 of FasterTransformer, what it cannot take in groups.

    That are embeddings and output heads, results in float32 and heights that are no
    multiple of 8. Routers stay as they are.
    """

    name: str
    linear: FtPacking
    fallback: GroupPacking
    model_dtype: Literal["float16"] = "float16"

    def packing(self, layer: Layer) -> FtPacking | GroupPacking | None:
        """Return how the weight of ``layer`` is stored; None: as it is."""
        if layer.role == "experts" or (layer.is_router and not layer.is_head):
            return None
        cannot = layer.is_head or layer.out_dtype == "float32"
        if layer.role == "embedding" or cannot or layer.shape[0] % _FALLBACK:
            return self.fallback
        return self.linear


def in_order(codes: Array) -> Array:
    """Return ``codes`` (4 * r, K) int8 from -8 to 7 as stored, int8 (4 * r * K / 2,).

    Raises:
        UsageError: Fused weights are not of a multiple of 4 rows each.
    """
    rows, columns = codes.shape
    if rows % _ROWS:
        raise UsageError(
            f"expected weights of a multiple of {_ROWS} rows for FasterTransformer's "
            f"int4, found {rows}; choose another quantization"
        )
    read = codes.reshape(rows, -1, 32)[:, :, _READ].reshape(rows // _ROWS, _ROWS, -1)
    tiles = read.reshape(rows // _ROWS, _ROWS, columns // TILE, TILE).swapaxes(1, 2)
    words = tiles.reshape(-1, 8)[:, _SLOTS]
    halves = (words + np.int8(_ZERO)).view(np.uint8)
    return (halves[:, 0::2] | halves[:, 1::2] << np.uint8(4)).reshape(-1).view(np.int8)


def out_of_order(stored: Array, columns: int) -> Array:
    """Return the codes (N, columns) int8 that are ``stored``, whatever its shape."""
    pairs = stored.reshape(-1).view(np.uint8)
    halves = np.stack([pairs & np.uint8(15), pairs >> np.uint8(4)], axis=1)
    words = halves.reshape(-1, 8)[:, np.argsort(_SLOTS)]
    tiles = words.reshape(-1, columns // TILE, _ROWS, TILE).swapaxes(1, 2)
    read = tiles.reshape(-1, 32)[:, np.argsort(_READ)]
    return read.reshape(-1, columns).view(np.int8) - np.int8(_ZERO)
