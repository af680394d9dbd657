"""Phi 1, 1.5 and 2: one norm before attention and feed-forward, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.architectures.config import Fields, ModelConfig
from mlcx.architectures.sizes import derive_context, derive_heads
from mlcx.recipe import Recipe

__all__ = ["LAYERS", "UNUSED", "Config", "weights"]

LAYERS = (
    "transformer.embd",
    *(f"transformer.h.{{i}}.mixer.{name}" for name in ("Wqkv", "out_proj")),
    *(f"transformer.h.{{i}}.mlp.{name}" for name in ("fc1", "fc2")),
    "lm_head.linear",
)

UNUSED: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from, in MLC's names and order."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    layer_norm_eps: float
    position_embedding_base: float
    partial_rotary_factor: float
    num_key_value_heads: int
    context_window_size: int
    prefill_chunk_size: int
    head_dim: int
    tensor_parallel_shards: int
    max_batch_size: int

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("phi", data)
        fields.refuse("tie_word_embeddings", because="has a head of its own here")
        fields.refuse("qk_layernorm", because="norms no queries or keys here")
        fields.accept("hidden_act", "gelu_new", "gelu_fast", "gelu_pytorch_tanh")
        fields.rope_scaling({})
        context, chunk = derive_context(fields)
        keys, width = derive_heads(fields)
        return fields.read(
            cls,
            intermediate_size=fields.positive(
                "intermediate_size", 4 * fields.positive("hidden_size")
            ),
            position_embedding_base=fields.rope_theta(),
            partial_rotary_factor=fields.rotated_share(
                "partial_rotary_factor", width, 0.5
            ),
            num_key_value_heads=keys,
            context_window_size=context,
            prefill_chunk_size=chunk,
            head_dim=width,
        )


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    ours, theirs = "transformer.h.{i}.", "model.layers.{i}."
    renamed = {
        f"{ours}ln": f"{theirs}input_layernorm",
        f"{ours}mixer.out_proj": f"{theirs}self_attn.dense",
        f"{ours}mlp.fc1": f"{theirs}mlp.fc1",
        f"{ours}mlp.fc2": f"{theirs}mlp.fc2",
        "lm_head.ln": "model.final_layernorm",
        "lm_head.linear": "lm_head",
    }
    recipes = {"transformer.embd.weight": Recipe(("model.embed_tokens.weight",))}
    for kind in ("weight", "bias"):
        for name, source in renamed.items():
            recipes[f"{name}.{kind}"] = Recipe((f"{source}.{kind}",))
        qkv = tuple(f"{theirs}self_attn.{part}_proj.{kind}" for part in "qkv")
        recipes[f"{ours}mixer.Wqkv.{kind}"] = Recipe(qkv)
    return recipes
