"""The network of Llama."""

from __future__ import annotations

from mlcx.architectures.llama import Config
from mlcx.nn.causal_lm import CausalLM, heads_of, rms_norm
from mlcx.nn.kv_cache import KVCacheSpec

__all__ = ["Model"]


class Model(CausalLM[Config]):
    """The language model, with its cache in ``dtype``."""

    def __init__(self, config: Config, dtype: str) -> None:
        cache = KVCacheSpec.of(
            heads_of(config),
            num_layers=config.num_hidden_layers,
            rope_theta=config.position_embedding_base,
            rope_scaling=config.rope_scaling,
            dtype=dtype,
        )
        norm = rms_norm(config.hidden_size, config.rms_norm_eps)
        super().__init__(config, cache, norm, tied=config.tie_word_embeddings)
