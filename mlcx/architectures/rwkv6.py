"""RWKV 6 ("Finch"): linear attention with a decay that depends on the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.architectures.config import Fields
from mlcx.architectures.rwkv import LAYERS, RwkvConfig, renamed
from mlcx.recipe import Recipe

__all__ = ["LAYERS", "MIXED", "UNUSED", "Config", "weights"]

UNUSED = ()

MIXED = "wkvrg"
"""The five inputs of the attention: decay, key, value, receptance, gate."""


@dataclass(frozen=True)
class Config(RwkvConfig):
    """What the model is built from."""

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("rwkv6", data)
        usual = fields.positive("hidden_size") // 2 * 7
        inner = fields.positive("intermediate_size", usual)
        return cls.of(fields, version="6_0", intermediate_size=inner)


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    attention = [f"time_maa_{part}" for part in ("x", *MIXED, "w1", "w2")]
    attention += ["time_decay", "time_decay_w1", "time_decay_w2", "time_faaaa"]
    return renamed(config, attention, ("time_maa_k", "time_maa_r"))
