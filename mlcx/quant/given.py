"""Schemes for checkpoints that are quantized already, which they take as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mlcx.architectures.quantized import unsuited
from mlcx.errors import UsageError
from mlcx.quant.awq import AwqPacking, GptqPacking
from mlcx.quant.block_scale import BlockScaleScheme
from mlcx.quant.linear import LinearScheme
from mlcx.quant.packing import Scheme

__all__ = ["reading", "takes_quantized"]


def reading(scheme: Scheme, found: object) -> Scheme:
    """Return ``scheme`` for a checkpoint whose ``quantization_config`` is ``found``.

    Raises:
        UsageError: It does not take such a checkpoint; says what would.
    """
    if why := unsuited(scheme.name, found):
        raise UsageError(why)
    is_gptq = isinstance(found, Mapping) and found.get("quant_method") == "gptq"
    if is_gptq and isinstance(scheme, LinearScheme):
        return replace(scheme, linear=GptqPacking())
    return scheme


def takes_quantized(scheme: Scheme) -> bool:
    """Say whether ``scheme`` is for such checkpoints only."""
    if isinstance(scheme, LinearScheme):
        return isinstance(scheme.linear, AwqPacking)
    return isinstance(scheme, BlockScaleScheme)
