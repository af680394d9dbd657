"""The network of GPT-J."""

from __future__ import annotations

from tvm.relax.frontend import nn

from mlcx.architectures.gptj import Config
from mlcx.nn.attention import SelfAttention
from mlcx.nn.embedding import Embedding
from mlcx.nn.gpt import Body, GptLM
from mlcx.nn.head import BiasedHead
from mlcx.nn.kv_cache import Heads, KVCacheSpec, PagedKVCache
from mlcx.nn.mlp import ACTIVATIONS

__all__ = ["Model"]

_THETA = 10000.0
"""RoPE's base, which no config names."""


class _Attention(SelfAttention):
    def __init__(self, config: Config) -> None:
        super().__init__(Heads(config.n_head, config.n_head, config.head_dim))
        self.c_attn = nn.Linear(config.n_embd, self.qkv_width, bias=False)
        self.out_proj = nn.Linear(self.width, config.n_embd, bias=False)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        return self.out_proj(self.attend(self.c_attn(x), cache, layer))


class _MLP(nn.Module):
    def __init__(self, config: Config) -> None:
        self.fc_in = nn.Linear(config.n_embd, config.n_inner)
        self.fc_out = nn.Linear(config.n_inner, config.n_embd)
        self.activation = ACTIVATIONS[config.activation_function]

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        return self.fc_out(self.activation(self.fc_in(x)))


class _Layer(nn.Module):
    """Attention and feed-forward side by side."""

    def __init__(self, config: Config) -> None:
        self.ln_1 = nn.LayerNorm(config.n_embd, config.layer_norm_epsilon)
        self.attn = _Attention(config)
        self.mlp = _MLP(config)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        h = self.ln_1(x)
        return x + self.attn(h, cache, layer) + self.mlp(h)


class Model(GptLM):
    """The language model, with its cache in ``dtype``; never tied."""

    def __init__(self, config: Config, dtype: str) -> None:
        cache = KVCacheSpec.of(
            Heads(config.n_head, config.n_head, config.head_dim),
            num_layers=config.n_layer,
            rope_theta=_THETA,
            rotary_dim=config.rotary_dim,
            interleaved=True,
            dtype=dtype,
        )
        body = Body(
            Embedding(config.vocab_size, config.n_embd),
            [_Layer(config) for _ in range(config.n_layer)],
            nn.LayerNorm(config.n_embd, config.layer_norm_epsilon),
        )
        super().__init__(body, BiasedHead(config.n_embd, config.vocab_size), cache)
