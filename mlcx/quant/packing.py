"""What a quantization is made of: schemes, which say how each layer is stored.

A *scheme* looks at each *layer* of a model and answers with a *packing*, or with None
where the layer's weight stays as it is. A packing says what the weight is stored as,
and has a *kind*: the layers of a kind compute with what its packings store.

To add a kind:

1. ``quant/<kind>.py``: a frozen dataclass that is a ``Packing``, and one that is a
   ``Scheme`` unless one of those that exist will do. Numpy only.
2. ``quant/<kind>_layers.py``: for each role of a layer that it serves, a class that is
   called with the layer to replace and the packing. Here is where tvm comes in.
3. Rows: the schemes in ``scheme.SCHEMES`` and in the enums of both schemas, the classes
   in ``apply.LAYERS``.
4. ``tests/quant/test_<kind>.py``: known bits, and a round trip.

A scheme of a known kind is a row of ``scheme.SCHEMES`` and of the enums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy.typing as npt

from mlcx.quant.scratch import Scratch

__all__ = ["Layer", "Packing", "Parts", "Role", "Scheme"]

Role = Literal["linear", "embedding", "experts"]
"""What a layer does with its weight."""

Parts = dict[str, tuple[tuple[int, ...], str]]
"""Names of stored tensors to their shapes and dtypes, in the order of storing."""

_FINAL_FC = frozenset({"head", "lm_head", "lm_head.linear", "embed_out"})
_WIDEST_ROUTER = 256


@dataclass(frozen=True)
class Layer:
    """A module with a weight that a scheme may touch; its name is MLC's."""

    name: str
    role: Role
    shape: tuple[int, ...]
    """Of the weight: (N, K); of an embedding (V, h); of experts (E, N, K)."""
    out_dtype: str | None = None
    """Of a linear layer's result; None: the model's."""

    @property
    def weight(self) -> str:
        """The name of the parameter."""
        return f"{self.name}.weight"

    @property
    def is_head(self) -> bool:
        """Whether this turns hidden states into logits, by MLC's rule."""
        return self.name in _FINAL_FC

    @property
    def is_router(self) -> bool:
        """Whether this chooses among experts, by MLC's rule: no scheme touches it."""
        named = self.role == "linear" and self.name.endswith("gate")
        return named and self.shape[0] <= _WIDEST_ROUTER


class Packing(Protocol):
    """How the weight of one layer is stored. Frozen; equal ones store equally."""

    @property
    def kind(self) -> str:
        """Which layers compute with it: a key of ``apply.LAYERS``."""

    @property
    def is_given(self) -> bool:
        """Whether the checkpoint holds the parts: they are stored as they come.

        Then nothing is packed, and each part is a parameter of the model.
        """

    @property
    def transposed(self) -> bool:
        """Whether packed rows are columns of every part."""

    def parts(self, name: str, shape: tuple[int, ...]) -> Parts:
        """Return what the parameter ``name`` (``….weight``) of ``shape`` becomes."""

    def pack(
        self, weight: npt.NDArray[Any], scratch: Scratch | None = None
    ) -> dict[str, npt.NDArray[Any]]:
        """Pack rows (..., K) in the model's dtype; rows are packed one by one.

        Returns:
            The parts in their order, named without the module.
        """

    def is_finite(self, packed: Mapping[str, npt.NDArray[Any]]) -> bool:
        """Say whether every weight that ``packed`` was made of was finite."""

    def unpack(
        self, packed: Mapping[str, npt.NDArray[Any]], columns: int
    ) -> npt.NDArray[Any]:
        """Return the weight (..., columns) in the model's dtype."""


class Scheme(Protocol):
    """A named quantization of a whole model. Frozen."""

    @property
    def name(self) -> str:
        """As in specs, configs and file names."""

    @property
    def model_dtype(self) -> str:
        """Of activations and of what is not quantized."""

    def packing(self, layer: Layer) -> Packing | None:
        """Return how the weight of ``layer`` is stored; None: as it is."""
