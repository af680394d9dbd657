"""The network of GPT-2."""

from __future__ import annotations

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.architectures.gpt2 import Config
from mlcx.nn.attention import SelfAttention
from mlcx.nn.embedding import Embedding
from mlcx.nn.gpt import Body, GptLM
from mlcx.nn.kv_cache import Heads, KVCacheSpec, PagedKVCache
from mlcx.nn.mlp import ACTIVATIONS

__all__ = ["Model"]


class _Attention(SelfAttention):
    def __init__(self, config: Config, layer: int) -> None:
        super().__init__(Heads(config.n_head, config.n_head, config.head_dim))
        self.c_attn = nn.Linear(config.n_embd, self.qkv_width)
        self.c_proj = nn.Linear(self.width, config.n_embd)
        if config.scale_attn_by_inverse_layer_idx:
            self.scale /= layer + 1

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        return self.c_proj(self.attend(self.c_attn(x), cache, layer))


class _MLP(nn.Module):
    def __init__(self, config: Config) -> None:
        self.c_fc = nn.Linear(config.n_embd, config.n_inner)
        self.c_proj = nn.Linear(config.n_inner, config.n_embd)
        self.activation = ACTIVATIONS[config.activation_function]

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        return self.c_proj(self.activation(self.c_fc(x)))


class _Layer(nn.Module):
    def __init__(self, config: Config, layer: int) -> None:
        self.ln_1 = _norm(config)
        self.attn = _Attention(config, layer)
        self.ln_2 = _norm(config)
        self.mlp = _MLP(config)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        x = x + self.attn(self.ln_1(x), cache, layer)
        return x + self.mlp(self.ln_2(x))


class _Body(Body):
    """Whose embeddings get the position's vector, from the table ``wpe``."""

    def __init__(self, config: Config) -> None:
        layers = [_Layer(config, n) for n in range(config.n_layer)]
        table = Embedding(config.vocab_size, config.n_embd)
        super().__init__(table, layers, _norm(config))
        self.wpe = Embedding(config.n_positions, config.n_embd)

    def forward(self, x: nn.Tensor, cache: PagedKVCache) -> nn.Tensor:
        b, s, _ = x.shape
        positions = cache.get_query_positions(b * s)
        return super().forward(x + op.reshape(self.wpe(positions), x.shape), cache)


class Model(GptLM):
    """The language model, with its cache in ``dtype``; the head is its own matrix."""

    def __init__(self, config: Config, dtype: str) -> None:
        cache = KVCacheSpec.of(
            Heads(config.n_head, config.n_head, config.head_dim),
            num_layers=config.n_layer,
            rotary_dim=0,
            dtype=dtype,
        )
        head = nn.Linear(
            config.n_embd, config.vocab_size, bias=False, out_dtype="float32"
        )
        super().__init__(_Body(config), head, cache)


def _norm(config: Config) -> nn.LayerNorm:
    return nn.LayerNorm(config.n_embd, config.layer_norm_epsilon)
