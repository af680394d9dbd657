"""Weights in 8-bit floats, each operation one of numpy's or of ml_dtypes'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def in_blocks(
    weight: Array, block: tuple[int, int], random: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Return ``weight`` (N, K) as stored, the scales of its blocks, and what it means.

    Scales are exact in bfloat16, which float32 is stored as.
    """
    (rows, columns), (n, k) = block, weight.shape
    shape = (-(-n // rows), -(-k // columns))
    scales = random.uniform(0.5, 1.5, shape) * abs(weight).max() / 448
    scales = scales.astype(ml_dtypes.bfloat16).astype(np.float32)
    wide = np.repeat(np.repeat(scales, rows, 0), columns, 1)[:n, :k]
    stored = np.clip(weight / wide, -448, 448).astype(ml_dtypes.float8_e4m3fn)
    return stored, scales, stored.astype(np.float32) * wide


def scale_of(weights: Sequence[Array]) -> np.float32:
    """Return the scale that ``weights`` share as float8_e4m3fn."""
    largest = np.float16(max(abs(each).max() for each in weights))
    return np.float32(max(largest / np.float16(448), np.float16(1 / (448 * 512))))
