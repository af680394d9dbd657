"""The network of StableLM."""

from __future__ import annotations

from tvm.relax.frontend import nn

from mlcx.architectures.stablelm import Config
from mlcx.nn import attention
from mlcx.nn.causal_lm import CausalLM, heads_of, layer_norm
from mlcx.nn.kv_cache import KVCacheSpec

__all__ = ["Attention", "Model"]


class Attention(attention.Attention):
    """With biases on queries, keys and values if the config says so."""

    def __init__(self, config: Config) -> None:
        super().__init__(config.hidden_size, heads_of(config))
        self.qkv_proj = nn.Linear(
            config.hidden_size, self.qkv_width, bias=config.use_qkv_bias
        )


class Model(CausalLM[Config]):
    """The language model, with its cache in ``dtype``; never tied."""

    def __init__(self, config: Config, dtype: str) -> None:
        cache = KVCacheSpec.of(
            heads_of(config),
            num_layers=config.num_hidden_layers,
            rope_theta=config.rope_theta,
            rotary_dim=int(config.head_dim * config.partial_rotary_factor),
            dtype=dtype,
        )
        norm = layer_norm(config.hidden_size, config.layer_norm_eps)
        super().__init__(config, cache, norm, tied=False)

    def attention(self, config: Config) -> Attention:
        """Return the attention of a new layer."""
        return Attention(config)
