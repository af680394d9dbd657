"""What the configs and the checkpoints of RWKV's versions share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from mlcx.architectures.config import OPEN, Fields, ModelConfig
from mlcx.recipe import Array, Recipe

__all__ = ["LAYERS", "RwkvConfig", "renamed"]

_SHARED = ("receptance", "key", "value", "gate")
"""Matrices of the attention, beside that of its output."""

LAYERS = (
    "model.embeddings",
    *(f"model.blocks.{{i}}.attention.{name}" for name in (*_SHARED, "output")),
    *(f"model.blocks.{{i}}.feed_forward.{name}" for name in _SHARED[:3]),
    "head",
)

_Config = TypeVar("_Config", bound="RwkvConfig")


@dataclass(frozen=True)
class RwkvConfig(ModelConfig):
    """What the model is built from: MLC's fields in their order, then ours."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    vocab_size: int
    model_version: str
    tensor_parallel_shards: int
    rescale_every: int
    head_size: int
    layer_norm_epsilon: float
    context_window_size: int
    """-1: no limit."""
    prefill_chunk_size: int
    num_heads: int
    max_batch_size: int
    head_size_divisor: int
    """Its square times 1e-5 is the epsilon of the heads' normalization."""

    @classmethod
    def of(
        cls: type[_Config], fields: Fields, *, version: str, intermediate_size: int
    ) -> _Config:
        """Return the config of ``fields``.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        hidden = fields.positive("hidden_size")
        size = fields.positive("head_size", 64)
        fields.require(
            hidden % size == 0, "hidden_size must be a multiple of head_size"
        )
        fields.require(
            fields.positive("attention_hidden_size", hidden) == hidden,
            "attention_hidden_size must be hidden_size",
        )
        fields.accept("model_version", version)
        fields.refuse("tie_word_embeddings", because="has a head of its own")
        bounded = fields.has("context_window_size")
        return fields.read(
            cls,
            intermediate_size=intermediate_size,
            model_version=version,
            rescale_every=fields.count("rescale_every", 0),
            head_size=size,
            layer_norm_epsilon=fields.number("layer_norm_epsilon", 1e-5),
            context_window_size=fields.positive("context_window_size")
            if bounded
            else OPEN,
            prefill_chunk_size=fields.positive("prefill_chunk_size", 4096),
            num_heads=hidden // size,
            head_size_divisor=fields.positive("head_size_divisor", 8),
        )


def renamed(
    config: RwkvConfig, attention: Iterable[str], feed_forward: Iterable[str]
) -> dict[str, Recipe]:
    """Return the recipes of all that the body has of the checkpoint's.

    Args:
        config: Says after how many layers activations are halved.
        attention: Parameters that a version's attention has of its own.
        feed_forward: Likewise.
    """
    norms = ["ln_out", "blocks.0.pre_ln", "blocks.{i}.ln1", "blocks.{i}.ln2"]
    norms += ["blocks.{i}.attention.ln_x"]
    shared = [f"{part}.weight" for part in _SHARED]
    names = [
        "embeddings.weight",
        *(f"{norm}.{kind}" for norm in norms for kind in ("weight", "bias")),
        *(f"blocks.{{i}}.attention.{name}" for name in (*attention, *shared)),
        *(f"blocks.{{i}}.feed_forward.{name}" for name in feed_forward),
        *(f"blocks.{{i}}.feed_forward.{part}.weight" for part in ("receptance", "key")),
    ]
    recipes = {f"model.{name}": Recipe((f"rwkv.{name}",)) for name in names}
    for layer in range(config.num_hidden_layers):
        times = layer // config.rescale_every if config.rescale_every else 0
        for name in ("attention.output.weight", "feed_forward.value.weight"):
            block = f"blocks.{layer}.{name}"
            value = partial(_halved, times=times) if times else None
            recipes[f"model.{block}"] = Recipe((f"rwkv.{block}",), value=value)
    return recipes


def _halved(values: Array, times: int) -> Array:
    # In float32: of the smallest float16 values, a half is not one.
    halved: Array = values.astype("float32") * 0.5**times
    return halved
