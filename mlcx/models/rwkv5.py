"""RWKV 5.2 ("Eagle"): linear attention with a decay that each channel has learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm.relax.frontend import nn

from mlcx.models.config import Fields
from mlcx.models.rwkv import RwkvConfig, renamed
from mlcx.nn import rwkv_mixing
from mlcx.nn.recurrence import Wkv, wkv5
from mlcx.nn.rwkv import Rwkv
from mlcx.nn.rwkv_mixing import Mixed, vector
from mlcx.recipe import Array, Recipe

__all__ = ["UNUSED", "Attention", "Config", "FeedForward", "Model", "weights"]

UNUSED = ()

_MIXED = ("receptance", "key", "value", "gate")
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
    attention = [f"time_mix_{part}" for part in _MIXED]
    feed_forward = ("time_mix_key", "time_mix_receptance")
    recipes = renamed(config, [*attention, "time_faaaa"], feed_forward)
    name = "blocks.{i}.attention.time_decay"
    # So close to 1 that bfloat16 would keep some channels for ever.
    kept = Recipe((f"rwkv.{name}",), value=_kept, exact=True)
    return recipes | {f"model.{name}": kept}


def _kept(decay: Array) -> Array:
    """Return the share of a channel that a token leaves, in float32."""
    kept: Array = np.exp(-np.exp(decay.astype(np.float32)))
    return kept


class Model(Rwkv):
    """The language model, with activations in ``dtype``."""

    def __init__(self, config: Config, dtype: str) -> None:
        super().__init__(
            config, dtype, lambda: Attention(config), lambda: FeedForward(config)
        )


class Attention(rwkv_mixing.Attention):
    """Which mixes by the share of the token itself."""

    def __init__(self, config: Config) -> None:
        super().__init__(config, (config.num_heads, config.head_size))
        for part in _MIXED:
            parameter = nn.Parameter((1, 1, config.hidden_size))
            setattr(self, f"time_mix_{part}", parameter)

    def mixed(self, x: nn.Tensor, shifted: nn.Tensor) -> Mixed:
        """Mix ``x`` (s, h) with itself, ``shifted`` by a token."""
        shares = (getattr(self, f"time_mix_{part}") for part in _MIXED)
        receptance, key, value, gate = (_mix(x, shifted, share) for share in shares)
        return Mixed(receptance, key, value, gate, self.time_decay)

    def attend(
        self, x: Wkv, before: nn.Tensor, ends: nn.Tensor
    ) -> tuple[nn.Tensor, nn.Tensor]:
        """Return the outputs (s, h) and the states after them, both float32."""
        return wkv5(x, before, ends)


class FeedForward(rwkv_mixing.FeedForward):
    """Which mixes by the share of the token itself."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.time_mix_key = nn.Parameter((1, 1, config.hidden_size))
        self.time_mix_receptance = nn.Parameter((1, 1, config.hidden_size))

    def mixed(self, x: nn.Tensor, shifted: nn.Tensor) -> tuple[nn.Tensor, nn.Tensor]:
        """Mix ``x`` (s, h) with itself, ``shifted`` by a token: key and gate's."""
        key = _mix(x, shifted, self.time_mix_key)
        return key, _mix(x, shifted, self.time_mix_receptance)


def _mix(x: nn.Tensor, shifted: nn.Tensor, share: nn.Parameter) -> nn.Tensor:
    return shifted + (x - shifted) * vector(share)
