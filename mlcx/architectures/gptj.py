"""GPT-J: one norm before attention and feed-forward, neighbours of a head rotated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from mlcx.architectures.config import ACTIVATIONS, Fields, ModelConfig
from mlcx.architectures.sizes import derive_context, derive_gpt_sizes, derive_rotary
from mlcx.recipe import Recipe, joined

__all__ = ["LAYERS", "UNUSED", "Config", "weights"]

_ATTENTION = "transformer.h.{i}.attn."

LAYERS = (
    "transformer.wte",
    *(f"{_ATTENTION}{name}" for name in ("c_attn", "out_proj")),
    *(f"transformer.h.{{i}}.mlp.{name}" for name in ("fc_in", "fc_out")),
    "lm_head",
)

UNUSED = (f"{_ATTENTION}bias", f"{_ATTENTION}masked_bias")

_INTERLEAVED = "gptj"

_Config = TypeVar("_Config", bound="Config")


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from, in MLC's names and order."""

    vocab_size: int
    n_embd: int
    n_layer: int
    n_head: int
    layer_norm_epsilon: float
    rotary_dim: int
    activation_function: str
    n_inner: int
    rope_scaling: dict[str, Any]
    """Of type gptj: so MLC says that neighbours of a head are rotated together."""
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
        return cls.of(Fields("gptj", data))

    @classmethod
    def of(cls: type[_Config], fields: Fields) -> _Config:
        """Return the config of ``fields``.

        Raises:
            InputError: As ``from_hf``.
        """
        fields.refuse("tie_word_embeddings", because="has a head of its own")
        fields.rope_scaling({_INTERLEAVED: ()})
        context, chunk = derive_context(fields)
        width, inner = derive_gpt_sizes(fields)
        return fields.read(
            cls,
            rotary_dim=derive_rotary(fields, width),
            activation_function=fields.choice("activation_function", *ACTIVATIONS),
            n_inner=inner,
            rope_scaling={"rope_type": _INTERLEAVED},
            context_window_size=context,
            prefill_chunk_size=chunk,
            head_dim=width,
        )


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    parts = (f"{part}_proj.weight" for part in "qkv")
    return joined(_ATTENTION, "c_attn.weight", *parts)
