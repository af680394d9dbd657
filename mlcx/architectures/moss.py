"""MOSS and CodeGen: GPT-J, whose checkpoints are cut as for four devices.

Facts: the modelling code that is published with moss-moon-003, which is CodeGen's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.architectures import gptj
from mlcx.architectures.config import Fields
from mlcx.recipe import Recipe

__all__ = ["LAYERS", "UNUSED", "Config", "weights"]

_ATTENTION = "transformer.h.{i}.attn."

LAYERS = gptj.LAYERS

UNUSED = (f"{_ATTENTION}causal_mask",)

_DEVICES = 4


@dataclass(frozen=True)
class Config(gptj.Config):
    """As of GPT-J."""

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("moss", data)
        fields.require(
            fields.positive("n_head") % _DEVICES == 0,
            f"n_head must be a multiple of {_DEVICES}",
        )
        return cls.of(fields)


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name.

    Each device has its queries, then its values, then its keys.
    """
    fused = Recipe(
        (f"{_ATTENTION}qkv_proj.weight",),
        groups=_DEVICES,
        parts=(1, 1, 1),
        order=(0, 2, 1),
    )
    return {f"{_ATTENTION}c_attn.weight": fused}
