"""8-bit floats with a scale for each rectangle of a weight, as checkpoints have them.

A weight (N, K) is stored as float8_e4m3fn beside ``weight_scale_inv``, float32, one for
each block of ``rows`` by ``columns``, those at the edges being smaller. It stands for

    weight[n, k] * weight_scale_inv[n // rows, k // columns].

Nothing is quantized here: both come out of a checkpoint. Weights that a model fuses are
put above each other, and so are their scales; all but the last must then be a multiple
of ``rows`` high.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from mlcx.errors import UsageError
from mlcx.quant.packing import Given, Layer, Parts
from mlcx.quant.plain import Array, cast, dtype_named
from mlcx.recipe import Join

__all__ = ["BlockScalePacking", "BlockScaleScheme"]


@dataclass(frozen=True)
class BlockScalePacking(Given):
    """A weight (N, K) as 8-bit floats, with scales for blocks of it."""

    rows: int
    columns: int
    static_activation: bool = False
    """Whether scales for activations are stored too, one for each block of columns."""
    kind: Literal["block_scale"] = "block_scale"
    model_dtype: Literal["bfloat16"] = "bfloat16"
    storage_dtype: Literal["float8_e4m3fn"] = "float8_e4m3fn"

    def parts(self, name: str, shape: tuple[int, ...]) -> Parts:
        """Return the shapes and dtypes of what ``<module>.weight`` is stored as.

        Args:
            name: The parameter's, ending in ``weight``.
            shape: (N, K), or of a stack of weights (E, N, K).
        """
        module = name.removesuffix("weight")
        *stack, n, k = shape
        down, across = -(-n // self.rows), -(-k // self.columns)
        parts: Parts = {
            f"{module}weight": (shape, self.storage_dtype),
            f"{module}weight_scale_inv": ((*stack, down, across), "float32"),
        }
        if self.static_activation:
            parts[f"{module}activation_scale"] = ((across,), "float32")
        return parts

    def joins(self) -> dict[str, Join]:
        """Return how weights that are fused are, by the name of the part.

        Those with a common input have the same scales for activations.
        """
        joins = {"weight": Join(multiple=self.rows), "weight_scale_inv": Join()}
        if self.static_activation:
            joins["activation_scale"] = Join("same")
        return joins

    def unpack(self, packed: Mapping[str, Array], columns: int) -> Array:
        """Return the weight (..., N, columns) in bfloat16."""
        weight = packed["weight"][..., :columns].astype(np.float32)
        scales = packed["weight_scale_inv"].astype(np.float32)
        high = np.repeat(scales, self.rows, axis=-2)[..., : weight.shape[-2], :]
        wide = np.repeat(high, self.columns, axis=-1)[..., :columns]
        return cast(weight * wide, dtype_named(self.model_dtype))


@dataclass(frozen=True)
class BlockScaleScheme:
    """Linear layers but heads and routers, in blocks of the size that configs say."""

    name: str
    static_activation: bool = False
    linear: BlockScalePacking | None = None
    """None: the size of a block is not known yet."""
    model_dtype: Literal["bfloat16"] = "bfloat16"

    def configured(self, config: Any) -> BlockScaleScheme:
        """Return this for the blocks that ``config`` has.

        Raises:
            UsageError: It has none: the checkpoint is not in 8-bit floats.
        """
        if config.weight_block_size is None:
            raise UsageError(
                f"{self.name} is for checkpoints in 8-bit floats, whose config has a "
                "'quantization_config' with a 'weight_block_size'; this one has none: "
                "choose another quantization"
            )
        rows, columns = config.weight_block_size
        packing = BlockScalePacking(rows, columns, self.static_activation)
        return replace(self, linear=packing)

    def packing(self, layer: Layer) -> BlockScalePacking | None:
        """Return how the weight of ``layer`` is stored; None: as it is."""
        assert self.linear is not None, "not configured"
        left = layer.role == "embedding" or layer.is_head or layer.is_router
        return None if left else self.linear
