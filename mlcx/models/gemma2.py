"""The network of Gemma 2."""

from __future__ import annotations

from collections.abc import Callable

from tvm.relax.frontend import nn

from mlcx.architectures.config import OPEN
from mlcx.architectures.gemma2 import PATTERN, Config
from mlcx.models.gemma import GemmaLM
from mlcx.nn import attention
from mlcx.nn.causal_lm import heads_of, rms_norm
from mlcx.nn.head import soft_capped
from mlcx.nn.kv_cache import KVCacheSpec
from mlcx.nn.layer import SandwichLayer

__all__ = ["Attention", "Model"]


class Attention(attention.Attention):
    """Of which the even layers slide."""

    def __init__(self, config: Config) -> None:
        super().__init__(config.hidden_size, heads_of(config))
        self.scale = config.query_pre_attn_scalar**-0.5
        self.windowed = config.sliding_window != OPEN

    def slides(self, layer: int) -> bool:
        """Say whether ``layer`` sees no more than the cache's ``layer_window``."""
        return self.windowed and (layer + 1) % PATTERN != 0


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
