"""StarCoder 2: layer norms, biases, no gates, and a window that slides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.architectures.config import Fields, ModelConfig
from mlcx.architectures.fused import layers, qkv
from mlcx.architectures.sizes import derive_heads, derive_window
from mlcx.recipe import Recipe

__all__ = ["LAYERS", "UNUSED", "Config", "weights"]

LAYERS = layers("wqkv_pack", "c_fc", "c_proj")

UNUSED: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from: MLC's fields in their order, then ours."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    hidden_act: str
    norm_epsilon: float
    intermediate_size: int
    rope_theta: float
    use_bias: bool
    use_cache: bool
    """MLC's, as are the token ids: without effect."""
    bos_token_id: int
    eos_token_id: int
    context_window_size: int
    """-1: no limit, since the window slides."""
    prefill_chunk_size: int
    tensor_parallel_shards: int
    max_batch_size: int
    head_dim: int
    sliding_window_size: int
    """-1: no window. MLC has none, so that it is wrong about longer texts."""
    attention_sink_size: int
    """Of the first tokens, how many stay in sight when the window slides."""
    tie_word_embeddings: bool
    """Whether the head is a copy of the embedding, as MLC always takes it for."""

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("starcoder2", data)
        fields.rope_scaling({})
        keys, width = derive_heads(fields)
        return fields.read(
            cls,
            **derive_window(fields, sinks=0),
            num_key_value_heads=keys,
            hidden_act=fields.choice("hidden_act", "gelu_pytorch_tanh"),
            rope_theta=fields.rope_theta(),
            use_bias=fields.flag("use_bias", default=True),
            use_cache=fields.flag("use_cache", default=True),
            bos_token_id=fields.count("bos_token_id", 50256),
            eos_token_id=fields.count("eos_token_id", 50256),
            head_dim=width,
            tie_word_embeddings=fields.flag("tie_word_embeddings", default=True),
        )


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    kinds = ("weight", "bias") if config.use_bias else ("weight",)
    head = {"lm_head.weight": Recipe(("model.embed_tokens.weight",))}
    return qkv("wqkv_pack", *kinds) | (head if config.tie_word_embeddings else {})
