"""The network of Gemma."""

from __future__ import annotations

from typing import TypeVar

from tvm.relax.frontend import nn

from mlcx.architectures.gemma import Config
from mlcx.nn.causal_lm import CausalLM, Sizes, heads_of, rms_norm
from mlcx.nn.kv_cache import KVCacheSpec
from mlcx.nn.mlp import GatedMLP, gelu_tanh

__all__ = ["GemmaLM", "Model"]

_AnySizes = TypeVar("_AnySizes", bound=Sizes)


class GemmaLM(CausalLM[_AnySizes]):
    """What all Gemmas share: GELU, and embeddings as large as normalized states."""

    def mlp(self, config: _AnySizes) -> GatedMLP:
        """Return the feed-forward block of a new layer."""
        return GatedMLP(config.hidden_size, config.intermediate_size, gelu_tanh)

    def embed(self, input_ids: nn.Tensor) -> nn.Tensor:
        """Token ids (s,) int32 to embeddings (s, h)."""
        return super().embed(input_ids) * self.hidden_size**0.5


class Model(GemmaLM[Config]):
    """The language model, with its cache in ``dtype``; always tied."""

    def __init__(self, config: Config, dtype: str) -> None:
        cache = KVCacheSpec.of(
            heads_of(config),
            num_layers=config.num_hidden_layers,
            rope_theta=config.position_embedding_base,
            dtype=dtype,
        )
        norm = rms_norm(config.hidden_size, config.rms_norm_eps)
        super().__init__(config, cache, norm, tied=True)
