"""Gemma 3, of text: Gemma 2 with norms of queries and keys, and two kinds of layers.

Most layers slide and rotate in one way, every sixth sees all and rotates in another. In
MLC LLM both rotate alike, and the limit of the context comes from the window; here it
is the checkpoint's. Multimodal checkpoints are read too, without what they see with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from mlcx.architectures.config import OPEN, Fields, ModelConfig
from mlcx.architectures.fused import GATE_UP
from mlcx.architectures.gemma import decided, plus_one
from mlcx.architectures.gemma2 import NORMS
from mlcx.architectures.layer_types import (
    FULL,
    SLIDING,
    derive_layer_window,
    derive_pattern,
)
from mlcx.recipe import Recipe

__all__ = ["LAYERS", "UNUSED", "Config", "weights"]

_SIGHT = "vision_tower.[vision_model.]"
_SIGHT_LAYERS = (
    *("layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2"),
    *(f"self_attn.{part}_proj" for part in ("q", "k", "v", "out")),
)
_SIGHT_PARTS = (
    *(f"encoder.layers.{{i}}.{part}" for part in _SIGHT_LAYERS),
    *("embeddings.patch_embedding", "post_layernorm"),
)
_MATRICES = (
    "model.embed_tokens",
    "model.layers.{i}.mlp.down_proj",
    *(f"model.layers.{{i}}.self_attn.{part}_proj" for part in "qkvo"),
)
_GATE_UP = "model.layers.{i}.mlp.gate_up_proj"
LAYERS = tuple(f"language_model.{name}" for name in (*_MATRICES, _GATE_UP))

UNUSED = (
    *(
        f"{_SIGHT}{part}.{kind}"
        for part, kind in product(_SIGHT_PARTS, ("weight", "bias"))
    ),
    f"{_SIGHT}embeddings.position_embedding.weight",
    "multi_modal_projector.mm_input_projection_weight",
    "multi_modal_projector.mm_soft_emb_norm.weight",
)

_LEFT_OUT = {
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "max_position_embeddings": 131072,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-6,
    "vocab_size": 262208,
}
"""What multimodal configs may not say of their text part."""

_LOCAL_BASE = "rope_local_base_freq"

_MLC_WINDOW = "sliding_window_size"
"""Not our name: to runtimes it says that the cache forgets what leaves the window."""


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from: MLC's ``text_config``, and what is beside that."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    attention_bias: bool
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rms_norm_eps: float
    hidden_activation: str
    position_embedding_base: float
    """Of layers that see all."""
    rope_scaling: dict[str, Any] | None
    """Of layers that see all."""
    context_window_size: int
    prefill_chunk_size: int
    query_pre_attn_scalar: int
    """The square of what scores are divided by."""
    sliding_window: int
    """Tokens that the other layers see; -1: all."""
    sliding_window_pattern: int
    """Every how-manieth layer sees all."""
    rope_local_base_freq: float
    """As ``position_embedding_base``, of the other layers."""
    final_logit_softcapping: float | None
    vocab_size: int
    tensor_parallel_shards: int
    max_batch_size: int

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        data, local = _rotations(_text_part(data))
        fields = Fields("gemma3_text", data)
        sliding = fields.within(SLIDING, local)
        sliding.rope_scaling({})
        fields.refuse("attn_logit_softcapping", because="does not cap scores")
        cap = "final_logit_softcapping"
        window = "sliding_window" if "sliding_window" in data else _MLC_WINDOW
        layers = fields.positive("num_hidden_layers")
        return fields.read(
            cls,
            **decided(fields, "gelu_pytorch_tanh", rope_theta=1e6),
            rope_scaling=fields.rope_scaling({"linear": ("factor",)}),
            query_pre_attn_scalar=fields.positive("query_pre_attn_scalar", 256),
            sliding_window=derive_layer_window(fields, data, window, 4096),
            sliding_window_pattern=derive_pattern(fields, data, layers, 6),
            rope_local_base_freq=sliding.rope_theta(_LOCAL_BASE),
            final_logit_softcapping=fields.number(cap) if fields.has(cap) else None,
        )


def _text_part(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a text config, of a multimodal one the part, with what is beside it."""
    text = data.get("text_config")
    if not isinstance(text, Mapping):
        return data
    beside = {
        key: value
        for key, value in data.items()
        if key != "text_config" and value not in (None, OPEN)
    }
    return {**_LEFT_OUT, **text, **beside}


def _rotations(data: Mapping[str, Any]) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Return the fields with how layers that see all rotate, and how the others do."""
    local = {_LOCAL_BASE: data.get(_LOCAL_BASE)}
    kinds = data.get("rope_parameters")
    if isinstance(kinds, Mapping) and {FULL, SLIDING} & kinds.keys():
        data = {**data, "rope_parameters": kinds.get(FULL)}
        local["rope_parameters"] = kinds.get(SLIDING)
    return data, local


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    attention = "model.layers.{i}.self_attn."
    norms = (*NORMS, *(f"{attention}{part}_norm" for part in "qk"))
    recipes = GATE_UP | plus_one(*norms)
    recipes |= {f"{name}.weight": Recipe((f"{name}.weight",)) for name in _MATRICES}
    return {
        f"language_model.{name}": replace(
            recipe, tensors=tuple(f"[language_model.]{one}" for one in recipe.tensors)
        )
        for name, recipe in recipes.items()
    }
