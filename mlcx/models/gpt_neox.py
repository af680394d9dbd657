"""The network of GPT-NeoX."""

from __future__ import annotations

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.architectures.gpt_neox import Config
from mlcx.nn.attention import SelfAttention
from mlcx.nn.decoder import DecoderLM
from mlcx.nn.embedding import Embedding
from mlcx.nn.kv_cache import Heads, KVCacheSpec, PagedKVCache
from mlcx.nn.layer import in_turn

__all__ = ["Model"]


class _Attention(SelfAttention):
    """A checkpoint has each head's query, key and value together."""

    def __init__(self, hidden_size: int, heads: Heads) -> None:
        super().__init__(heads)
        self.query_key_value = nn.Linear(hidden_size, self.qkv_width)
        self.dense = nn.Linear(self.width, hidden_size)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        return self.dense(self.attend(self.query_key_value(x), cache, layer))


class _MLP(nn.Module):
    def __init__(self, config: Config) -> None:
        hidden, inner = config.hidden_size, config.intermediate_size
        dtype = config.ffn_out_dtype
        self.dense_h_to_4h = nn.Linear(hidden, inner, out_dtype=dtype)
        self.dense_4h_to_h = nn.Linear(inner, hidden, out_dtype=dtype)

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        inner = op.gelu(self.dense_h_to_4h(x)).astype(x.dtype)
        return self.dense_4h_to_h(inner).astype(x.dtype)


class _Layer(nn.Module):
    """Attention and feed-forward, one beside or one behind the other."""

    def __init__(self, config: Config, heads: Heads) -> None:
        hidden, epsilon = config.hidden_size, config.layer_norm_eps
        self.input_layernorm = nn.LayerNorm(hidden, epsilon)
        self.post_attention_layernorm = nn.LayerNorm(hidden, epsilon)
        self.attention = _Attention(hidden, heads)
        self.mlp = _MLP(config)
        self.parallel = config.use_parallel_residual

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        attended = x + self.attention(self.input_layernorm(x), cache, layer)
        seen = x if self.parallel else attended
        return attended + self.mlp(self.post_attention_layernorm(seen))


class _Body(nn.Module):
    def __init__(self, config: Config, heads: Heads) -> None:
        self.embed_in = Embedding(config.vocab_size, config.hidden_size)
        count = config.num_hidden_layers
        self.layers = nn.ModuleList([_Layer(config, heads) for _ in range(count)])
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

    def forward(self, x: nn.Tensor, cache: PagedKVCache) -> nn.Tensor:
        return self.final_layer_norm(in_turn(self.layers, x, cache))


class Model(DecoderLM):
    """The language model, with its cache in ``dtype``; never tied."""

    def __init__(self, config: Config, dtype: str) -> None:
        heads = Heads(
            config.num_attention_heads, config.num_attention_heads, config.head_dim
        )
        cache = KVCacheSpec.of(
            heads,
            num_layers=config.num_hidden_layers,
            rope_theta=config.position_embedding_base,
            rotary_dim=int(config.head_dim * config.rotary_pct),
            dtype=dtype,
        )
        super().__init__(cache, config.hidden_size)
        self.gpt_neox = _Body(config, heads)
        self.embed_out = nn.Linear(
            config.hidden_size, config.vocab_size, bias=False, out_dtype="float32"
        )
        self.to(dtype)

    def embed(self, input_ids: nn.Tensor) -> nn.Tensor:
        """Token ids (s,) int32 to embeddings (s, h)."""
        return self.gpt_neox.embed_in(input_ids)

    def forward(self, x: nn.Tensor, cache: PagedKVCache) -> nn.Tensor:
        """Embeddings (b, s, h) to final hidden states (b, s, h)."""
        return self.gpt_neox(x, cache)

    def get_logits(self, hidden_states: nn.Tensor) -> nn.Tensor:
        """Hidden states (..., h) to float32 logits (..., V)."""
        return self.embed_out(hidden_states)
