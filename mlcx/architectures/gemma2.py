"""Gemma 2: Gemma with more norms, a window in every other layer, and capped logits.

MLC LLM makes the window the limit of the context, since all its layers see everything.
Here, layers slide as they were trained to, so the limit is the checkpoint's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.architectures.config import Fields
from mlcx.architectures.fused import GATE_UP, layers, qkv
from mlcx.architectures.gemma import Config as GemmaConfig
from mlcx.architectures.gemma import decided, plus_one
from mlcx.architectures.layer_types import derive_layer_window, derive_pattern
from mlcx.recipe import Recipe

__all__ = ["LAYERS", "NORMS", "PATTERN", "UNUSED", "Config", "weights"]

LAYERS = layers("qkv_proj")[:-1]

UNUSED: tuple[str, ...] = ()

_PLACES = ("input", "post_attention", "pre_feedforward", "post_feedforward")
NORMS = (*(f"model.layers.{{i}}.{place}_layernorm" for place in _PLACES), "model.norm")
"""Whose weights checkpoints keep less 1."""

PATTERN = 2
"""Of every two layers, the first slides."""


@dataclass(frozen=True)
class Config(GemmaConfig):
    """What the model is built from, in MLC's names and order."""

    attn_logit_softcapping: float | None
    final_logit_softcapping: float | None
    query_pre_attn_scalar: int
    """The square of what scores are divided by."""
    sliding_window: int
    """Tokens that every other layer sees; -1: all."""

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("gemma2", data)
        fields.rope_scaling({})
        layers = fields.positive("num_hidden_layers")
        pattern = derive_pattern(fields, data, layers, PATTERN)
        fields.require(
            pattern == PATTERN,
            f"'layer_types': expected every other layer to slide, found {pattern - 1} "
            f"of {pattern}",
        )
        return fields.read(
            cls,
            **decided(fields, "gelu_pytorch_tanh"),
            attn_logit_softcapping=_softcap(
                fields, data, "attn_logit_softcapping", 50.0
            ),
            final_logit_softcapping=_softcap(
                fields, data, "final_logit_softcapping", 30.0
            ),
            query_pre_attn_scalar=fields.positive("query_pre_attn_scalar", 256),
            sliding_window=derive_layer_window(fields, data, "sliding_window", 4096),
        )


def _softcap(
    fields: Fields, data: Mapping[str, Any], key: str, absent: float
) -> float | None:
    """Return what caps scores or logits; null says that nothing does."""
    if key in data and data[key] is None:
        return None
    return fields.number(key, absent)


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    return qkv("qkv_proj") | GATE_UP | plus_one(*NORMS)
