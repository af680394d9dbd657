"""The network of Phi 3 and 4."""

from __future__ import annotations

from tvm.relax.frontend import nn

from mlcx.architectures.phi3 import Config
from mlcx.nn.attention import SelfAttention
from mlcx.nn.causal_lm import heads_of
from mlcx.nn.decoder import DecoderLM
from mlcx.nn.embedding import Embedding
from mlcx.nn.kv_cache import KVCacheSpec, PagedKVCache
from mlcx.nn.layer import in_turn
from mlcx.nn.mlp import GatedMLP

__all__ = ["Model"]


class _Attention(SelfAttention):
    def __init__(self, config: Config) -> None:
        super().__init__(heads_of(config))
        self.qkv_proj = nn.Linear(config.hidden_size, self.qkv_width, bias=False)
        self.out_proj = nn.Linear(self.width, config.hidden_size, bias=False)
        self.windowed = config.layer_window is not None

    def slides(self, layer: int) -> bool:
        return self.windowed

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        return self.out_proj(self.attend(self.qkv_proj(x), cache, layer))


class _Layer(nn.Module):
    def __init__(self, config: Config) -> None:
        hidden, epsilon = config.hidden_size, config.rms_norm_eps
        self.ln = nn.RMSNorm(hidden, -1, epsilon, bias=False)
        self.mixer = _Attention(config)
        self.mlp = GatedMLP(hidden, config.intermediate_size)
        self.post_attention_layernorm = nn.RMSNorm(hidden, -1, epsilon, bias=False)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        x = x + self.mixer(self.ln(x), cache, layer)
        return x + self.mlp(self.post_attention_layernorm(x))


class _Body(nn.Module):
    def __init__(self, config: Config) -> None:
        layers = [_Layer(config) for _ in range(config.num_hidden_layers)]
        self.embd = Embedding(config.vocab_size, config.hidden_size)
        self.h = nn.ModuleList(layers)
        self.norm = nn.RMSNorm(config.hidden_size, -1, config.rms_norm_eps, bias=False)

    def forward(self, x: nn.Tensor, cache: PagedKVCache) -> nn.Tensor:
        return self.norm(in_turn(self.h, x, cache))


class Model(DecoderLM):
    """The language model, with its cache in ``dtype``."""

    def __init__(self, config: Config, dtype: str) -> None:
        cache = KVCacheSpec.of(
            heads_of(config),
            num_layers=config.num_hidden_layers,
            rope_theta=config.position_embedding_base,
            rope_scaling=config.rotation(),
            rotary_dim=int(config.head_dim * config.partial_rotary_factor),
            dtype=dtype,
            layer_window=config.layer_window,
        )
        super().__init__(cache, config.hidden_size)
        self.transformer = _Body(config)
        self.tied = config.tie_word_embeddings
        if not self.tied:
            self.lm_head = nn.Linear(
                config.hidden_size, config.vocab_size, bias=False, out_dtype="float32"
            )
        self.to(dtype)

    def embed(self, input_ids: nn.Tensor) -> nn.Tensor:
        """Token ids (s,) int32 to embeddings (s, h)."""
        return self.transformer.embd(input_ids)

    def forward(self, x: nn.Tensor, cache: PagedKVCache) -> nn.Tensor:
        """Embeddings (b, s, h) to final hidden states (b, s, h)."""
        return self.transformer(x, cache)

    def get_logits(self, hidden_states: nn.Tensor) -> nn.Tensor:
        """Hidden states (..., h) to float32 logits (..., V)."""
        if self.tied:
            return self.transformer.embd.logits(hidden_states)
        return self.lm_head(hidden_states)
