"""Gemma 2: Gemma with more norms, a window in every other layer, and capped logits.

MLC LLM makes the window the limit of the context, since all its layers see everything.
Here, layers slide as they were trained to, so the limit is the checkpoint's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tvm.relax.frontend import nn

from mlcx.models.config import OPEN, Fields
from mlcx.models.fused import GATE_UP, qkv
from mlcx.models.gemma import Config as GemmaConfig
from mlcx.models.gemma import GemmaLM, decided, plus_one
from mlcx.models.layer_types import derive_layer_window, derive_pattern
from mlcx.nn import attention
from mlcx.nn.causal_lm import heads_of, rms_norm
from mlcx.nn.head import soft_capped
from mlcx.nn.kv_cache import KVCacheSpec
from mlcx.nn.layer import SandwichLayer
from mlcx.recipe import Recipe

__all__ = ["NORMS", "UNUSED", "Attention", "Config", "Model", "weights"]

UNUSED: tuple[str, ...] = ()

_PLACES = ("input", "post_attention", "pre_feedforward", "post_feedforward")
NORMS = (*(f"model.layers.{{i}}.{place}_layernorm" for place in _PLACES), "model.norm")
"""Whose weights checkpoints keep less 1."""

_PATTERN = 2
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
        pattern = derive_pattern(fields, data, layers, _PATTERN)
        fields.require(
            pattern == _PATTERN,
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


class Attention(attention.Attention):
    """Of which the even layers slide."""

    def __init__(self, config: Config) -> None:
        super().__init__(config.hidden_size, heads_of(config))
        self.scale = config.query_pre_attn_scalar**-0.5
        self.windowed = config.sliding_window != OPEN

    def slides(self, layer: int) -> bool:
        """Say whether ``layer`` sees no more than the cache's ``layer_window``."""
        return self.windowed and (layer + 1) % _PATTERN != 0


class Model(GemmaLM[Config]):
    """The language model, with its cache in ``dtype``; always tied."""

    def __init__(self, config: Config, dtype: str) -> None:
        slides = config.sliding_window != OPEN
        cache = KVCacheSpec.of(
            heads_of(config),
            num_layers=config.num_hidden_layers,
            rope_theta=config.position_embedding_base,
            dtype=dtype,
            layer_window=config.sliding_window if slides else None,
            softcap=config.attn_logit_softcapping,
        )
        norm = rms_norm(config.hidden_size, config.rms_norm_eps)
        super().__init__(config, cache, norm, tied=True)
        self.softcap = config.final_logit_softcapping

    def layer(self, config: Config, norm: Callable[[], nn.Module]) -> SandwichLayer:
        """Return a new layer, a map of (x, cache, layer)."""
        return SandwichLayer(Attention(config), self.mlp(config), norm)

    def get_logits(self, hidden_states: nn.Tensor) -> nn.Tensor:
        """Hidden states (..., h) to float32 logits (..., V)."""
        return soft_capped(super().get_logits(hidden_states), self.softcap)
