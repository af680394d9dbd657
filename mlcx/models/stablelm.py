"""StableLM 3B and 2: Llama with layer norms and heads that are rotated in part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tvm.relax.frontend import nn

from mlcx.models.config import Fields, ModelConfig
from mlcx.models.fused import GATE_UP, qkv
from mlcx.models.sizes import derive_context, derive_heads
from mlcx.nn import attention
from mlcx.nn.causal_lm import CausalLM, heads_of, layer_norm
from mlcx.nn.kv_cache import KVCacheSpec
from mlcx.recipe import Recipe

__all__ = ["UNUSED", "Attention", "Config", "Model", "weights"]

UNUSED: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from, in MLC's names and order."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    layer_norm_eps: float
    partial_rotary_factor: float
    rope_theta: float
    intermediate_size: int
    use_qkv_bias: bool
    head_dim: int
    context_window_size: int
    prefill_chunk_size: int
    tensor_parallel_shards: int
    max_batch_size: int

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("stablelm", data)
        fields.refuse("qk_layernorm", because="normalizes no queries and keys here")
        fields.refuse("use_parallel_residual", because="has its blocks in turn here")
        fields.refuse("tie_word_embeddings", because="has a head of its own here")
        fields.accept("hidden_act", "silu")
        fields.rope_scaling({})
        context, chunk = derive_context(fields)
        keys, width = derive_heads(fields)
        return fields.read(
            cls,
            num_key_value_heads=keys,
            partial_rotary_factor=fields.rotated_share(
                "partial_rotary_factor", width, default=0.25
            ),
            rope_theta=fields.rope_theta(),
            head_dim=width,
            context_window_size=context,
            prefill_chunk_size=chunk,
        )


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    kinds = ("weight", "bias") if config.use_qkv_bias else ("weight",)
    return qkv("qkv_proj", *kinds) | GATE_UP


class Attention(attention.Attention):
    """With biases on queries, keys and values if the config says so."""

    def __init__(self, config: Config) -> None:
        super().__init__(config.hidden_size, heads_of(config))
        self.qkv_proj = nn.Linear(
            config.hidden_size, self.qkv_width, bias=config.use_qkv_bias
        )


class Model(CausalLM[Config]):
    """The language model, with its cache in ``dtype``; never tied."""

    def __init__(self, config: Config, dtype: str) -> None:
        cache = KVCacheSpec.of(
            heads_of(config),
            num_layers=config.num_hidden_layers,
            rope_theta=config.rope_theta,
            rotary_dim=int(config.head_dim * config.partial_rotary_factor),
            dtype=dtype,
        )
        norm = layer_norm(config.hidden_size, config.layer_norm_eps)
        super().__init__(config, cache, norm, tied=False)

    def attention(self, config: Config) -> Attention:
        """Return the attention of a new layer."""
        return Attention(config)
