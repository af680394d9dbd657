"""What a quantization is made of: schemes, which say how each layer is stored.

A *scheme* looks at each *layer* of a model and answers with a *packing*, or with None
where the layer's weight stays as it is. A packing says what the weight is stored as,
and has a *kind*: the layers of a kind compute with what its packings store. Most pack
weights themselves; some stand for what a checkpoint holds packed already.

To add a kind:

1. ``quant/<kind>.py``: a frozen dataclass that is a ``Packer`` or ``Given``, and one
   that is a ``Scheme`` unless one of those that exist will do. Numpy only.
2. ``quant/<kind>_layers.py``: for each role of a layer that it serves, a class that is
   called with the layer to replace and the packing. Here is where tvm comes in.
3. Rows: the schemes in ``scheme.SCHEMES`` and in the enums of both schemas, the classes
   in ``apply.LAYERS``.
4. ``tests/quant/test_<kind>.py``: known bits, and a round trip.

A scheme of a known kind is a row of ``scheme.SCHEMES`` and of the enums.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy.typing as npt

from mlcx.quant.scratch import Scratch
from mlcx.recipe import Join

__all__ = [
    "ConfiguredScheme",
    "FittedPacker",
    "Given",
    "Layer",
    "Packer",
    "Packing",
    "Parts",
    "Role",
    "Scheme",
]

Role = Literal["linear", "router", "embedding", "experts"]
"""What a layer does with its weight."""

Parts = dict[str, tuple[tuple[int, ...], str]]
"""Names of stored tensors to their shapes and dtypes, in the order of storing."""

_FINAL_FC = frozenset({"head", "lm_head", "lm_head.linear", "embed_out"})
_LARGEST_GATE = 256


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
        """Whether no scheme touches this: it chooses among experts, or may for MLC.

        To MLC, which knows no roles, every small linear layer called gate is a router.
        """
        named = self.role == "linear" and self.name.endswith("gate")
        return self.role == "router" or (named and self.shape[0] <= _LARGEST_GATE)


class Packer(Protocol):
    """How the weight of one layer is packed. Frozen; equal ones pack equally."""

    @property
    def kind(self) -> str:
        """Which layers compute with it: a key of ``apply.LAYERS``."""

    @property
    def transposed(self) -> bool:
        """Whether packed rows are columns of every part."""

    @property
    def multiple(self) -> int:
        """Of how many rows what is packed at a time is a multiple."""

    def parts(self, name: str, shape: tuple[int, ...]) -> Parts:
        """Return what the parameter ``name`` (``….weight``) of ``shape`` becomes."""

    def pack(
        self, weight: npt.NDArray[Any], scratch: Scratch | None = None
    ) -> dict[str, npt.NDArray[Any]]:
        """Pack rows (..., K) in the model's dtype: the same, however they are cut.

        Returns:
            The parts in their order, named without the module.
        """

    def is_finite(self, packed: Mapping[str, npt.NDArray[Any]]) -> bool:
        """Say whether every weight that ``packed`` was made of was finite."""

    def unpack(
        self, packed: Mapping[str, npt.NDArray[Any]], columns: int
    ) -> npt.NDArray[Any]:
        """Return the weight (..., columns) in the model's dtype."""


@runtime_checkable
class FittedPacker(Packer, Protocol):
    """One whose packing of a row depends on all rows, by one number alone.

    Of its parts, the first has the packed rows; the others are the same for all.
    """

    def measure(self, weight: npt.NDArray[Any]) -> float:
        """Return what some rows contribute; the largest of all rows counts."""

    def fitted(self, largest: float) -> Packer:
        """Return what packs each row of a weight that was measured."""


class Given(ABC):
    """A weight that checkpoints hold packed: stored as it comes. Subclasses are frozen.

    Its parts in the model are made of the parts in the checkpoint.
    """

    kind: str
    """Which layers compute with it: a key of ``apply.LAYERS``."""
    unused: ClassVar[tuple[str, ...]] = ()
    """What a checkpoint may hold of a weight beside its parts."""

    @abstractmethod
    def parts(self, name: str, shape: tuple[int, ...]) -> Parts:
        """Return what the parameter ``name`` (``….weight``) of ``shape`` becomes."""

    @abstractmethod
    def joins(self) -> dict[str, Join]:
        """Return how weights that are fused are, by the name of the part."""

    @abstractmethod
    def unpack(
        self, packed: Mapping[str, npt.NDArray[Any]], columns: int
    ) -> npt.NDArray[Any]:
        """Return the weight (..., columns) in the model's dtype."""


Packing = Packer | Given
"""How the weight of one layer is stored."""


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


@runtime_checkable
class ConfiguredScheme(Scheme, Protocol):
    """A scheme with something that only the model's config tells."""

    def configured(self, config: Any) -> Scheme:
        """Return the scheme for models of ``config``.

        Raises:
            UsageError: There are none.
        """
