"""The network of Gemma 3."""

from __future__ import annotations

from collections.abc import Callable

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.architectures.config import OPEN
from mlcx.architectures.gemma3_text import Config
from mlcx.models.gemma import GemmaLM
from mlcx.nn.attention import SelfAttention
from mlcx.nn.causal_lm import heads_of, rms_norm
from mlcx.nn.decoder import DecoderLM
from mlcx.nn.head import soft_capped
from mlcx.nn.kv_cache import KVCacheSpec, PagedKVCache
from mlcx.nn.layer import SandwichLayer
from mlcx.nn.rotary import Rotary, join_rotary

__all__ = ["Attention", "LanguageModel", "Model"]


class Attention(SelfAttention):
    """With norms for each head, and a rotation for each kind of layer."""

    def __init__(self, config: Config) -> None:
        super().__init__(heads_of(config))
        hidden, width = config.hidden_size, config.head_dim
        keys = config.num_key_value_heads * width
        self.q_proj = nn.Linear(hidden, self.width, bias=False)
        self.k_proj = nn.Linear(hidden, keys, bias=False)
        self.v_proj = nn.Linear(hidden, keys, bias=False)
        self.o_proj = nn.Linear(self.width, hidden, bias=False)
        self.q_norm = nn.RMSNorm(width, -1, config.rms_norm_eps, bias=False)
        self.k_norm = nn.RMSNorm(width, -1, config.rms_norm_eps, bias=False)
        self.scale = config.query_pre_attn_scalar**-0.5
        self.pattern = config.sliding_window_pattern
        self.windowed = config.sliding_window != OPEN
        self.rotary = Rotary(config.position_embedding_base, config.rope_scaling)
        self.local_rotary = Rotary(config.rope_local_base_freq, None)

    def local(self, layer: int) -> bool:
        """Say whether ``layer`` is of the kind that slides if there is a window."""
        return (layer + 1) % self.pattern != 0

    def slides(self, layer: int) -> bool:
        """Say whether ``layer`` sees no more than the cache's ``layer_window``."""
        return self.windowed and self.local(layer)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        """Map ``x`` (b, s, hidden) to (b, s, hidden), appending to ``layer``."""
        b, s, _ = x.shape
        queries, keys = self.heads.num_q_heads, self.heads.num_kv_heads
        q, k, v = (
            op.reshape(projection(x), (b * s, count, self.heads.head_dim))
            for projection, count in (
                (self.q_proj, queries),
                (self.k_proj, keys),
                (self.v_proj, keys),
            )
        )
        rotary = self.local_rotary if self.local(layer) else self.rotary
        at = cache.get_query_positions(b * s)
        qkv = join_rotary(self.q_norm(q), self.k_norm(k), v, at, rotary)
        qkv = op.reshape(qkv, (b, s, self.qkv_width))
        return self.o_proj(self.attend(qkv, cache, layer))


class LanguageModel(GemmaLM[Config]):
    """The network, with its cache in ``dtype``; always tied."""

    def __init__(self, config: Config, dtype: str) -> None:
        slides = config.sliding_window != OPEN
        cache = KVCacheSpec.of(
            heads_of(config),
            num_layers=config.num_hidden_layers,
            rotary_dim=0,
            dtype=dtype,
            layer_window=config.sliding_window if slides else None,
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


class Model(DecoderLM):
    """The language model, which has its parameters below ``language_model``."""

    def __init__(self, config: Config, dtype: str) -> None:
        network = LanguageModel(config, dtype)
        super().__init__(network.state_spec, network.hidden_size)
        self.language_model = network

    def embed(self, input_ids: nn.Tensor) -> nn.Tensor:
        """Token ids (s,) int32 to embeddings (s, h)."""
        return self.language_model.embed(input_ids)

    def forward(self, x: nn.Tensor, cache: PagedKVCache) -> nn.Tensor:
        """Embeddings (b, s, h) to final hidden states (b, s, h)."""
        return self.language_model(x, cache)

    def get_logits(self, hidden_states: nn.Tensor) -> nn.Tensor:
        """Hidden states (..., h) to float32 logits (..., V)."""
        return self.language_model.get_logits(hidden_states)
