"""The network of Mistral."""

from __future__ import annotations

from typing import Protocol

from mlcx.architectures.config import OPEN
from mlcx.architectures.mistral import Config
from mlcx.nn.causal_lm import CausalLM, Sizes, heads_of, rms_norm
from mlcx.nn.kv_cache import KVCacheSpec

__all__ = ["Model", "Slides", "sliding_cache"]


class Slides(Sizes, Protocol):
    """What a config tells of an architecture whose window slides, if it has one."""

    @property
    def sliding_window_size(self) -> int:
        """Tokens; -1: no window."""

    @property
    def attention_sink_size(self) -> int:
        """Of the first tokens, how many stay in sight."""


def sliding_cache(config: Slides, rope_theta: float, dtype: str) -> KVCacheSpec:
    """Return a cache that slides in all layers where the config has a window."""
    slides = config.sliding_window_size != OPEN
    return KVCacheSpec.of(
        heads_of(config),
        num_layers=config.num_hidden_layers,
        rope_theta=rope_theta,
        dtype=dtype,
        window=config.sliding_window_size if slides else None,
        sink=config.attention_sink_size if slides else 0,
    )


class Model(CausalLM[Config]):
    """The language model, with its cache in ``dtype``; never tied."""

    def __init__(self, config: Config, dtype: str) -> None:
        cache = sliding_cache(config, config.position_embedding_base, dtype)
        norm = rms_norm(config.hidden_size, config.rms_norm_eps)
        super().__init__(config, cache, norm, tied=False)
