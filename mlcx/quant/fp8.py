"""8-bit floats with one scale for a whole weight, or with none.

With F the largest number of the type, a weight W in float16 has, in float16 and then
widened to float32,

    scale = max(max(abs(W)) / F, 1 / (512 * F)),

and is stored as ``W / scale`` in float32, rounded to the nearest, ties to even. It
stands for ``stored * scale``. The type with five bits of exponent reaches as far as
float16 nearly and is stored without a scale.

MLC stores a third number, by which a library on a GPU divides activations to make them
8-bit floats too. Its converter leaves that one undefined, and a calibration on the GPU
is to write it. Here it is 1: activations are taken as they are, which is right wherever
they stay below F. Libraries for the CPU read it as little as they round activations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import ml_dtypes
import numpy as np

from mlcx.quant.packing import Parts
from mlcx.quant.plain import Array, all_finite, cast, dtype_named
from mlcx.quant.scratch import Scratch

__all__ = ["Fp8Packing", "ScaledFp8Packing"]

_HALF = np.dtype(np.float16)
_EVERY_HALF = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
_INFINITY = 0x7C00
"""The bits of an infinite float16; those of NaN are larger."""


@dataclass(frozen=True)
class Fp8Packing:
    """A weight (..., K) as 8-bit floats of the same values; no scale."""

    storage_dtype: Literal["float8_e4m3fn", "float8_e5m2"]
    kind: Literal["fp8"] = "fp8"
    model_dtype: Literal["float16"] = "float16"
    transposed: Literal[False] = False
    multiple: Literal[1] = 1

    def parts(self, name: str, shape: tuple[int, ...]) -> Parts:
        """Return the shape and dtype of what ``<module>.weight`` is stored as."""
        return {f"{name.removesuffix('weight')}q_weight": (shape, self.storage_dtype)}

    def pack(self, weight: Array, scratch: Scratch | None = None) -> dict[str, Array]:
        """Round ``weight`` (..., K) float16; what is too large becomes infinite."""
        return {"q_weight": self._rounded(weight, np.float32(1), scratch)}

    def is_finite(self, packed: Mapping[str, Array]) -> bool:
        """Say whether every weight that ``packed`` was made of was finite."""
        return all_finite(packed["q_weight"])

    def unpack(self, packed: Mapping[str, Array], columns: int) -> Array:
        """Return the weight (..., columns) in float16."""
        return packed["q_weight"][..., :columns].astype(np.float16)

    def _rounded(
        self, weight: Array, scale: np.float32, scratch: Scratch | None
    ) -> Array:
        """Return ``weight / scale`` as stored: looked up, as halves are so few."""
        with np.errstate(all="ignore"):
            table = (_EVERY_HALF / scale).astype(dtype_named(self.storage_dtype))
        index = (scratch or Scratch()).take("index", weight.shape, np.intp)
        np.copyto(index, weight.view(np.uint16))
        return np.take(table, index, mode="wrap")


@dataclass(frozen=True)
class ScaledFp8Packing(Fp8Packing):
    """A weight (..., K) as 8-bit floats by a scale that all of it shares."""

    storage_dtype: Literal["float8_e4m3fn"] = "float8_e4m3fn"
    calibrated: bool = True
    """Whether a scale for activations is stored too."""
    largest: float | None = None
    """The largest magnitude of the whole weight; None: of what is packed."""

    def parts(self, name: str, shape: tuple[int, ...]) -> Parts:
        """Return the shapes and dtypes of what ``<module>.weight`` is stored as."""
        parts = super().parts(name, shape)
        for scale in ("q_scale", "q_calibration_scale")[: 1 + self.calibrated]:
            parts[name.removesuffix("weight") + scale] = ((1,), "float32")
        return parts

    def measure(self, weight: Array) -> float:
        """Return the largest magnitude in ``weight`` float16, of which NaN has none."""
        bits = weight.view(np.uint16) & np.uint16(0x7FFF)
        most = int(bits.max(initial=0))
        if most > _INFINITY:
            most = int(bits[bits <= _INFINITY].max(initial=0))
        return float(np.uint16(most).view(np.float16))

    def fitted(self, largest: float) -> ScaledFp8Packing:
        """Return what packs rows of a weight whose largest magnitude is known."""
        return replace(self, largest=largest)

    def pack(self, weight: Array, scratch: Scratch | None = None) -> dict[str, Array]:
        """Round ``weight`` (..., K) float16, divided by its scale.

        Returns:
            ``q_weight`` of the same shape, ``q_scale`` (1,) float32 and, when
            calibrated, ``q_calibration_scale`` (1,) float32.
        """
        scale = self._scale(weight)
        packed = {
            "q_weight": self._rounded(weight, scale, scratch),
            "q_scale": np.array([scale]),
        }
        if self.calibrated:
            packed["q_calibration_scale"] = np.ones(1, np.float32)
        return packed

    def unpack(self, packed: Mapping[str, Array], columns: int) -> Array:
        """Return the weight (..., columns) in float16."""
        values = packed["q_weight"][..., :columns].astype(np.float32)
        return cast(values * packed["q_scale"], _HALF)

    def _scale(self, weight: Array) -> np.float32:
        largest = self.measure(weight) if self.largest is None else self.largest
        most = ml_dtypes.finfo(dtype_named(self.storage_dtype)).max
        with np.errstate(under="ignore"):
            least = np.float16(1 / (512 * float(most)))
            return np.float32(max(np.float16(largest) / np.float16(most), least))
