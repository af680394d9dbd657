"""Gemma: Llama with GELU, scaled embeddings, and norm weights kept less 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.architectures.config import Fields, ModelConfig
from mlcx.architectures.fused import GATE_UP, layers, qkv
from mlcx.architectures.sizes import derive_context, derive_heads
from mlcx.recipe import Array, Recipe

__all__ = ["LAYERS", "UNUSED", "Config", "decided", "plus_one", "weights"]

LAYERS = layers("qkv_proj")[:-1]

UNUSED: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from, in MLC's names and order."""

    hidden_size: int
    intermediate_size: int
    attention_bias: bool
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    num_hidden_layers: int
    rms_norm_eps: float
    vocab_size: int
    hidden_activation: str
    position_embedding_base: float
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
        fields = Fields("gemma", data)
        fields.rope_scaling({})
        # The first checkpoints name the exact GELU, but are trained with the other.
        return fields.read(cls, **decided(fields, "gelu", "gelu_pytorch_tanh"))


def decided(
    fields: Fields, *activations: str, rope_theta: float = 10000.0
) -> dict[str, Any]:
    """Return what configs of all Gemmas have, where its type does not say how to read.

    ``activations`` are the names that GELU's approximation may have; ``rope_theta`` is
    that of configs that do not tell it.
    """
    fields.refuse("attention_bias", because="has no bias here")
    fields.refuse("use_bidirectional_attention", because="sees no later tokens")
    fields.require(
        fields.flag("tie_word_embeddings", default=True),
        "'tie_word_embeddings' is false, but the embedding is the head here",
    )
    context, chunk = derive_context(fields)
    derive_heads(fields)
    named = "hidden_activation" if fields.has("hidden_activation") else "hidden_act"
    return {
        "hidden_activation": fields.choice(named, *activations),
        "position_embedding_base": fields.rope_theta(absent=rope_theta),
        "context_window_size": context,
        "prefill_chunk_size": chunk,
    }


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    layer = "model.layers.{i}."
    norms = (f"{layer}input_layernorm", f"{layer}post_attention_layernorm")
    return qkv("qkv_proj") | GATE_UP | plus_one(*norms, "model.norm")


def plus_one(*norms: str) -> dict[str, Recipe]:
    """Return the recipes of weights that checkpoints keep less 1."""
    names = (f"{norm}.weight" for norm in norms)
    return {name: Recipe((name,), value=_plus_one) for name in names}


def _plus_one(values: Array) -> Array:
    return values + 1
