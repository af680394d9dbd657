"""The network of InternLM 2."""

from __future__ import annotations

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.architectures.internlm2 import Config
from mlcx.nn.attention import SelfAttention
from mlcx.nn.causal_lm import heads_of, rms_norm
from mlcx.nn.decoder import DecoderLM
from mlcx.nn.embedding import Embedding
from mlcx.nn.kv_cache import KVCacheSpec, PagedKVCache
from mlcx.nn.layer import in_turn

__all__ = ["Model"]


class _Attention(SelfAttention):
    def __init__(self, config: Config) -> None:
        super().__init__(heads_of(config))
        self.wqkv = nn.Linear(config.hidden_size, self.qkv_width, bias=config.bias)
        self.wo = nn.Linear(self.width, config.hidden_size, bias=config.bias)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        return self.wo(self.attend(self.wqkv(x), cache, layer))


class _FeedForward(nn.Module):
    def __init__(self, config: Config) -> None:
        hidden, inner = config.hidden_size, config.intermediate_size
        self.gate_up_proj = nn.Linear(hidden, 2 * inner, bias=False)
        self.w2 = nn.Linear(inner, hidden, bias=False)

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        gate, up = op.split(self.gate_up_proj(x), 2, axis=-1)
        return self.w2(op.silu(gate) * up)


class _Layer(nn.Module):
    def __init__(self, config: Config) -> None:
        norm = rms_norm(config.hidden_size, config.rms_norm_eps)
        self.attention = _Attention(config)
        self.feed_forward = _FeedForward(config)
        self.attention_norm = norm()
        self.ffn_norm = norm()

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        x = x + self.attention(self.attention_norm(x), cache, layer)
        return x + self.feed_forward(self.ffn_norm(x))


class _Body(nn.Module):
    def __init__(self, config: Config) -> None:
        self.tok_embeddings = Embedding(config.vocab_size, config.hidden_size)
        layers = [_Layer(config) for _ in range(config.num_hidden_layers)]
        self.layers = nn.ModuleList(layers)
        self.norm = rms_norm(config.hidden_size, config.rms_norm_eps)()

    def forward(self, x: nn.Tensor, cache: PagedKVCache) -> nn.Tensor:
        return self.norm(in_turn(self.layers, x, cache))


class Model(DecoderLM):
    """The language model, with its cache in ``dtype``; never tied."""

    def __init__(self, config: Config, dtype: str) -> None:
        cache = KVCacheSpec.of(
            heads_of(config),
            num_layers=config.num_hidden_layers,
            rope_theta=config.rope_theta,
            dtype=dtype,
        )
        super().__init__(cache, config.hidden_size)
        self.model = _Body(config)
        self.output = nn.Linear(
            config.hidden_size, config.vocab_size, bias=False, out_dtype="float32"
        )
        self.to(dtype)

    def embed(self, input_ids: nn.Tensor) -> nn.Tensor:
        """Token ids (s,) int32 to embeddings (s, h)."""
        return self.model.tok_embeddings(input_ids)

    def forward(self, x: nn.Tensor, cache: PagedKVCache) -> nn.Tensor:
        """Embeddings (b, s, h) to final hidden states (b, s, h)."""
        return self.model(x, cache)

    def get_logits(self, hidden_states: nn.Tensor) -> nn.Tensor:
        """Hidden states (..., h) to float32 logits (..., V)."""
        return self.output(hidden_states)
