"""One tensor of a checkpoint: what it is and where it lies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlcx.quant.plain import dtype_named

__all__ = ["READABLE", "SIZES", "Tensor", "sources_of"]

READABLE = {
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F8_E4M3": "float8_e4m3fn",
    "I32": "uint32",
    "U32": "uint32",
}
"""The dtypes of tensors that are read, and numpy's names for what they are read as."""

SIZES = {"F16": 2, "BF16": 2, "I16": 2, "U16": 2, "F32": 4, "I32": 4, "U32": 4}
SIZES |= {"F64": 8, "I64": 8, "U64": 8, "BOOL": 1, "I8": 1, "U8": 1}
SIZES |= {"F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1}
"""Bytes of an element of each dtype that a tensor may have."""


@dataclass(frozen=True)
class Tensor:
    """Where one tensor of a checkpoint lies."""

    name: str
    file: Path
    dtype: str
    """As the file has it: ``F16``, ``BF16``, …"""
    shape: tuple[int, ...]
    start: int
    """Offset of its first byte in the file; in PyTorch's files, its place."""

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return self.size * SIZES[self.dtype]

    @property
    def element(self) -> np.dtype[Any]:
        """The dtype in numpy of a tensor whose ``dtype`` is one of ``READABLE``."""
        return dtype_named(READABLE[self.dtype])


def sources_of(dtype: str) -> tuple[str, ...]:
    """Return what tensors may be that become ``dtype``: it, or any float if it is one.

    But 8-bit floats are only what they are: they mean nothing without their scales.
    """
    floats = ("F16", "BF16", "F32")
    if dtype in {READABLE[name] for name in floats}:
        return floats
    return tuple(name for name, read in READABLE.items() if read == dtype)
