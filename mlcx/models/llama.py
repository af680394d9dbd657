"""Llama: the ``llama`` model_type, with grouped-query attention and scaled RoPE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tvm.relax.frontend import nn

from mlcx.models.config import Fields, derive_context
from mlcx.nn.attention import Attention
from mlcx.nn.decoder import Body, DecoderLM
from mlcx.nn.embedding import Embedding
from mlcx.nn.kv_cache import KVCacheSpec, PagedKVCache
from mlcx.nn.mlp import GatedMLP
from mlcx.recipe import Recipe, joined

__all__ = ["UNUSED", "Config", "Model", "weights"]

_ATTENTION = "model.layers.{i}.self_attn."
_MLP = "model.layers.{i}.mlp."

UNUSED: tuple[str, ...] = (f"{_ATTENTION}rotary_emb.inv_freq",)

_ROPE_TYPES = {
    "llama3": (
        "factor",
        "low_freq_factor",
        "high_freq_factor",
        "original_max_position_embeddings",
    ),
    "linear": ("factor",),
}


@dataclass(frozen=True)
class Config:
    """What the model is built from, in MLC's names and order."""

    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_hidden_layers: int
    rms_norm_eps: float
    vocab_size: int
    tie_word_embeddings: bool
    position_embedding_base: float
    rope_scaling: dict[str, Any] | None
    context_window_size: int
    prefill_chunk_size: int
    num_key_value_heads: int
    head_dim: int
    tensor_parallel_shards: int
    pipeline_parallel_stages: int
    max_batch_size: int
    disaggregation: bool

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("llama", data)
        fields.refuse("attention_bias", "mlp_bias", because="has no bias here")
        heads = fields.positive("num_attention_heads")
        hidden = fields.positive("hidden_size")
        context, chunk = derive_context(fields)
        config = cls(
            hidden_size=hidden,
            intermediate_size=fields.positive("intermediate_size"),
            num_attention_heads=heads,
            num_hidden_layers=fields.positive("num_hidden_layers"),
            rms_norm_eps=fields.number("rms_norm_eps"),
            vocab_size=fields.positive("vocab_size"),
            tie_word_embeddings=fields.flag("tie_word_embeddings"),
            position_embedding_base=fields.rope_theta(),
            rope_scaling=fields.rope_scaling(_ROPE_TYPES),
            context_window_size=context,
            prefill_chunk_size=chunk,
            num_key_value_heads=fields.positive("num_key_value_heads", heads),
            head_dim=fields.positive("head_dim", hidden // heads),
            tensor_parallel_shards=fields.positive("tensor_parallel_shards", 1),
            pipeline_parallel_stages=fields.positive("pipeline_parallel_stages", 1),
            max_batch_size=fields.positive("max_batch_size", 1),
            disaggregation=fields.flag("disaggregation"),
        )
        fields.require(
            heads % config.num_key_value_heads == 0,
            "num_attention_heads must be a multiple of num_key_value_heads",
        )
        fields.finish()
        return config

    def to_dict(self) -> dict[str, Any]:
        """Return the ``model_config`` object of mlc-chat-config.json."""
        return asdict(self)


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    qkv = (f"{part}_proj.weight" for part in "qkv")
    halves = ("gate_proj.weight", "up_proj.weight")
    return {
        **joined(_ATTENTION, "qkv_proj.weight", *qkv),
        **joined(_MLP, "gate_up_proj.weight", *halves),
    }


class Layer(nn.Module):
    """Attention and feed-forward, each behind a norm and a residual."""

    def __init__(self, config: Config) -> None:
        hidden, eps = config.hidden_size, config.rms_norm_eps
        self.self_attn = Attention(
            hidden,
            config.num_attention_heads,
            config.num_key_value_heads,
            config.head_dim,
        )
        self.mlp = GatedMLP(hidden, config.intermediate_size)
        self.input_layernorm = nn.RMSNorm(hidden, -1, eps, bias=False)
        self.post_attention_layernorm = nn.RMSNorm(hidden, -1, eps, bias=False)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        """Map ``x`` (b, s, h) to (b, s, h)."""
        x = x + self.self_attn(self.input_layernorm(x), cache, layer)
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(Body):
    """Embedding, layers and the final norm."""

    def __init__(self, config: Config) -> None:
        self.embed_tokens = Embedding(config.vocab_size, config.hidden_size)
        count = config.num_hidden_layers
        self.layers = nn.ModuleList([Layer(config) for _ in range(count)])
        self.norm = nn.RMSNorm(config.hidden_size, -1, config.rms_norm_eps, bias=False)

    def forward(self, x: nn.Tensor, cache: PagedKVCache) -> nn.Tensor:
        """Map embeddings (b, s, h) to normalized hidden states (b, s, h)."""
        for index, layer in enumerate(self.layers):
            x = layer(x, cache, index)
        return self.norm(x)


class Model(DecoderLM):
    """The language model, with its cache in ``dtype``."""

    def __init__(self, config: Config, dtype: str) -> None:
        cache = KVCacheSpec(
            num_layers=config.num_hidden_layers,
            num_q_heads=config.num_attention_heads,
            num_kv_heads=config.num_key_value_heads,
            head_dim=config.head_dim,
            rotary_dim=config.head_dim,
            rope_theta=config.position_embedding_base,
            rope_scaling=config.rope_scaling,
            dtype=dtype,
        )
        super().__init__(
            Llama(config),
            cache,
            config.vocab_size,
            config.hidden_size,
            tied=config.tie_word_embeddings,
        )
        self.to(dtype)
