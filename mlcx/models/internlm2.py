"""InternLM2: Llama in other names, each group's queries next to its key and value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.models.config import Fields, ModelConfig
from mlcx.models.sizes import derive_context, derive_heads
from mlcx.nn.attention import SelfAttention
from mlcx.nn.causal_lm import heads_of, rms_norm
from mlcx.nn.decoder import DecoderLM
from mlcx.nn.embedding import Embedding
from mlcx.nn.kv_cache import KVCacheSpec, PagedKVCache
from mlcx.nn.layer import in_turn
from mlcx.recipe import Recipe, joined

__all__ = ["UNUSED", "Config", "Model", "weights"]

_LAYER = "model.layers.{i}."

UNUSED = (f"{_LAYER}attention.rotary_emb.inv_freq",)

_USUAL_CHUNK = 2048


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from, in MLC's names and order."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    rms_norm_eps: float
    intermediate_size: int
    bias: bool
    """Of the attention's projections."""
    use_cache: bool
    """MLC's, as are the token ids: without effect."""
    rope_theta: float
    pad_token_id: int
    bos_token_id: int
    eos_token_id: int
    context_window_size: int
    prefill_chunk_size: int
    tensor_parallel_shards: int
    max_batch_size: int
    head_dim: int

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("internlm2", data)
        fields.refuse("tie_word_embeddings", because="has a head of its own here")
        fields.accept("hidden_act", "silu")
        # Dynamic scaling begins where the context that the model is trained on ends.
        fields.rope_scaling({"dynamic": ("factor",)})
        context, chunk = derive_context(fields, _USUAL_CHUNK)
        trained = fields.positive("max_position_embeddings", context)
        fields.require(
            fields.scaling()[0] == "default" or context <= trained,
            f"a context of {context} tokens: expected at most max_position_embeddings, "
            f"{trained}, from where on RoPE would be scaled dynamically",
        )
        keys, width = derive_heads(fields)
        return fields.read(
            cls,
            num_key_value_heads=keys,
            bias=fields.flag("bias", default=True),
            use_cache=fields.flag("use_cache", default=True),
            rope_theta=fields.rope_theta(),
            pad_token_id=fields.count("pad_token_id", 0),
            bos_token_id=fields.count("bos_token_id", 1),
            eos_token_id=fields.count("eos_token_id", 2),
            context_window_size=context,
            prefill_chunk_size=chunk,
            head_dim=width,
        )


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    keys = config.num_key_value_heads
    shared = config.num_attention_heads // keys
    names = [f"{_LAYER}attention.wqkv.{kind}" for kind in ("weight", "bias")]
    qkv = {
        name: Recipe((name,), groups=keys, parts=(shared, 1, 1))
        for name in names[: 1 + config.bias]
    }
    parts = ("gate_up_proj.weight", "w1.weight", "w3.weight")
    return qkv | joined(f"{_LAYER}feed_forward.", *parts)


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
