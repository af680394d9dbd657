"""RWKV 5.2 ("Eagle"): linear attention with a decay that each channel has learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.architectures.config import Fields
from mlcx.architectures.rwkv import LAYERS, RwkvConfig, renamed
from mlcx.recipe import Array, Recipe

__all__ = ["LAYERS", "MIXED", "UNUSED", "Config", "weights"]

UNUSED = ()

MIXED = ("receptance", "key", "value", "gate")
"""The inputs of the attention."""


@dataclass(frozen=True)
class Config(RwkvConfig):
    """What the model is built from."""

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("rwkv5", data)
        usual = fields.positive("hidden_size") * 7 // 2 // 32 * 32
        inner = fields.positive("intermediate_size", usual)
        return cls.of(fields, version="5_2", intermediate_size=inner)


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    attention = [f"time_mix_{part}" for part in MIXED]
    feed_forward = ("time_mix_key", "time_mix_receptance")
    recipes = renamed(config, [*attention, "time_faaaa"], feed_forward)
    name = "blocks.{i}.attention.time_decay"
    # So close to 1 that bfloat16 would keep some channels for ever.
    kept = Recipe((f"rwkv.{name}",), value=_kept, exact=True)
    return recipes | {f"model.{name}": kept}


def _kept(decay: Array) -> Array:
    """Return the share of a channel that a token leaves, in float32."""
    import numpy as np  # noqa: PLC0415 (configs are read without it)

    kept: Array = np.exp(-np.exp(decay.astype(np.float32)))
    return kept
