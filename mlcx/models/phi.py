"""The network of Phi 1 and 2."""

from __future__ import annotations

from tvm.relax.frontend import nn

from mlcx.architectures.phi import Config
from mlcx.nn.attention import SelfAttention
from mlcx.nn.causal_lm import heads_of
from mlcx.nn.decoder import DecoderLM
from mlcx.nn.embedding import Embedding
from mlcx.nn.head import BiasedHead
from mlcx.nn.kv_cache import Heads, KVCacheSpec, PagedKVCache
from mlcx.nn.layer import in_turn
from mlcx.nn.mlp import gelu_tanh

__all__ = ["Model"]


class _Attention(SelfAttention):
    def __init__(self, hidden_size: int, heads: Heads) -> None:
        super().__init__(heads)
        self.Wqkv = nn.Linear(hidden_size, self.qkv_width)
        self.out_proj = nn.Linear(self.width, hidden_size)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        return self.out_proj(self.attend(self.Wqkv(x), cache, layer))


class _MLP(nn.Module):
    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        self.fc1 = nn.Linear(hidden_size, intermediate_size)
        self.fc2 = nn.Linear(intermediate_size, hidden_size)

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        return self.fc2(gelu_tanh(self.fc1(x)))


class _Layer(nn.Module):
    def __init__(self, config: Config) -> None:
        hidden = config.hidden_size
        self.ln = nn.LayerNorm(hidden, config.layer_norm_eps)
        self.mixer = _Attention(hidden, heads_of(config))
        self.mlp = _MLP(hidden, config.intermediate_size)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        h = self.ln(x)
        return x + self.mixer(h, cache, layer) + self.mlp(h)


class _Body(nn.Module):
    def __init__(self, config: Config) -> None:
        self.embd = Embedding(config.vocab_size, config.hidden_size)
        self.h = nn.ModuleList(
            [_Layer(config) for _ in range(config.num_hidden_layers)]
        )

    def forward(self, x: nn.Tensor, cache: PagedKVCache) -> nn.Tensor:
        return in_turn(self.h, x, cache)


class _Head(nn.Module):
    def __init__(self, config: Config) -> None:
        self.ln = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.linear = BiasedHead(config.hidden_size, config.vocab_size)

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        return self.linear(self.ln(x))


class Model(DecoderLM):
    """The language model, with its cache in ``dtype``; never tied."""

    def __init__(self, config: Config, dtype: str) -> None:
        cache = KVCacheSpec.of(
            heads_of(config),
            num_layers=config.num_hidden_layers,
            rope_theta=config.position_embedding_base,
            rotary_dim=int(config.head_dim * config.partial_rotary_factor),
            dtype=dtype,
        )
        super().__init__(cache, config.hidden_size)
        self.transformer = _Body(config)
        self.lm_head = _Head(config)
        self.to(dtype)

    def embed(self, input_ids: nn.Tensor) -> nn.Tensor:
        """Token ids (s,) int32 to embeddings (s, h)."""
        return self.transformer.embd(input_ids)

    def forward(self, x: nn.Tensor, cache: PagedKVCache) -> nn.Tensor:
        """Embeddings (b, s, h) to hidden states (b, s, h); the head norms them."""
        return self.transformer(x, cache)

    def get_logits(self, hidden_states: nn.Tensor) -> nn.Tensor:
        """Hidden states (..., h) to float32 logits (..., V)."""
        return self.lm_head(hidden_states)
