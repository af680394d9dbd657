"""Weights kept as they are, cast to the model's dtype."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from mlcx.quant.packing import Layer
from mlcx.quant.scratch import Scratch

__all__ = ["Array", "PlainScheme", "all_finite", "cast", "dtype_named"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class PlainScheme:
    """No quantization: every parameter is stored in ``model_dtype``."""

    name: str
    model_dtype: str

    def packing(self, layer: Layer) -> None:
        """Return None: the weight of every layer is stored as it is."""


_EXTRA: dict[str, type] = {
    "bfloat16": ml_dtypes.bfloat16,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8_e5m2": ml_dtypes.float8_e5m2,
}
"""Dtypes that numpy does not have itself."""


def dtype_named(name: str) -> np.dtype[Any]:
    """Return numpy's dtype of that name; ``bfloat16`` is one too."""
    return np.dtype(_EXTRA.get(name, name))


def cast(values: Array, dtype: np.dtype[Any], scratch: Scratch | None = None) -> Array:
    """Return ``values`` as ``dtype``, rounded to nearest, ties to even.

    Values too large for ``dtype`` become infinite. The result is ``values`` itself when
    the dtype is the same, and may lie in ``scratch``.
    """
    if values.dtype == dtype:
        return values
    if values.itemsize == 2:
        # Looking up is several times faster than numpy's half-precision casts.
        scratch = scratch or Scratch()
        index = scratch.take("index", values.shape, np.intp)
        np.copyto(index, values.view(np.uint16))
        found = scratch.take("cast", values.shape, dtype)
        # Every index is in range; "wrap" is the mode that needs no copy of ``found``.
        return np.take(_cast_table(values.dtype, dtype), index, out=found, mode="wrap")
    with np.errstate(over="ignore", under="ignore"):
        return values.astype(dtype)


def all_finite(values: Array) -> bool:
    """Say whether none of ``values`` is infinite or NaN; words of codes never are.

    Compares bits: float16 takes numpy many times as long to look at as a number.
    """
    if values.dtype.kind == "u":
        return True
    integer = np.dtype(f"u{values.itemsize}").type
    every_bit = integer((1 << (8 * values.itemsize - 1)) - 1)
    infinity = np.array(np.inf, values.dtype).view(integer)
    magnitudes = values.view(integer) & every_bit
    return bool(magnitudes.max(initial=0) < infinity)


@functools.cache
def _cast_table(source: np.dtype[Any], dtype: np.dtype[Any]) -> Array:
    """Return the value in ``dtype`` of every bit pattern of a 16-bit ``source``."""
    every = np.arange(1 << 16, dtype=np.uint16).view(source)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return every.astype(dtype)
