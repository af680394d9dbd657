"""Phi 3, 3.5 and 4: Llama under Phi's names, rotated over long texts by learnt factors.

LongRoPE (Ding et al., arXiv:2402.13753) divides each frequency by a factor, of one list
for texts up to the length of the first training and of another for longer ones. A cache
keeps keys as they were rotated, so here the context window decides, once for all texts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.architectures.config import OPEN, Fields, ModelConfig, is_positive
from mlcx.architectures.sizes import derive_context, derive_heads
from mlcx.recipe import Recipe

__all__ = ["LAYERS", "UNUSED", "Config", "weights"]

LAYERS = (
    "transformer.embd",
    *(f"transformer.h.{{i}}.mixer.{name}" for name in ("qkv_proj", "out_proj")),
    *(f"transformer.h.{{i}}.mlp.{name}" for name in ("gate_up_proj", "down_proj")),
    "lm_head",
)

UNUSED: tuple[str, ...] = ()

_LONG = ("longrope", "su")
_FACTORS = ("long_factor", "short_factor")
_LONGEST = "max_position_embeddings"
_ORIGINAL = "original_max_position_embeddings"
_ATTENTION = "attention_factor"
"""What rotated queries and keys are multiplied by; else it follows from the lengths."""


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from: MLC's fields in their order, then ours."""

    model_type: str
    hidden_size: int
    vocab_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    rms_norm_eps: float
    num_key_value_heads: int
    max_position_embeddings: int
    position_embedding_base: float
    rope_scaling: dict[str, Any] | None
    original_max_position_embeddings: int
    context_window_size: int
    """Beyond ``original_max_position_embeddings`` the long factors are taken."""
    prefill_chunk_size: int
    head_dim: int
    tensor_parallel_shards: int
    max_batch_size: int
    tie_word_embeddings: bool
    partial_rotary_factor: float
    sliding_window: int
    """Tokens that a token sees, which MLC LLM makes all; -1: all."""

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("phi3", data)
        fields.refuse("attention_bias", because="has no bias here")
        fields.accept("hidden_act", "silu")
        context, chunk = derive_context(fields)
        keys, width = derive_heads(fields)
        share = fields.rotated_share("partial_rotary_factor", width, 1.0)
        longest = fields.positive(_LONGEST)
        original = _original(fields, longest)
        slides = fields.has("sliding_window")
        window = fields.positive("sliding_window") if slides else OPEN
        return fields.read(
            cls,
            model_type="phi3",
            num_key_value_heads=keys,
            max_position_embeddings=longest,
            position_embedding_base=fields.rope_theta(),
            rope_scaling=_longrope(
                fields, int(width * share) // 2, (longest, original)
            ),
            original_max_position_embeddings=original,
            context_window_size=context,
            prefill_chunk_size=chunk,
            head_dim=width,
            partial_rotary_factor=share,
            sliding_window=window,
        )

    @property
    def layer_window(self) -> int | None:
        """Tokens that a token sees; None: all that there can be."""
        window = self.sliding_window
        return window if OPEN != window < self.context_window_size else None

    def rotation(self) -> dict[str, Any] | None:
        """Return the scaling of RoPE with the factors for the context window chosen."""
        if self.rope_scaling is None:
            return None
        original = self.original_max_position_embeddings
        long, short = _FACTORS
        chosen = long if self.context_window_size > original else short
        factor = self.rope_scaling.get(_ATTENTION)
        if factor is None:
            times = self.max_position_embeddings / original
            longer = 1 + math.log(times) / math.log(original) if times > 1 else 1.0
            factor = math.sqrt(longer)
        return {
            "rope_type": "longrope",
            "factors": self.rope_scaling[chosen],
            "attention_factor": factor,
        }


def _original(fields: Fields, longest: int) -> int:
    """Return how many tokens the first training's texts had."""
    kind, found = fields.scaling()
    if not fields.has(_ORIGINAL) and _ORIGINAL in found:
        return fields.within("rope_scaling", found).positive(_ORIGINAL)
    return fields.positive(_ORIGINAL, longest if kind == "default" else 4096)


def _longrope(
    fields: Fields, pairs: int, lengths: tuple[int, int]
) -> dict[str, Any] | None:
    """Return the two lists of factors, as MLC's configs have them."""
    kind, found = fields.scaling()
    if kind == "default":
        return None
    fields.require(kind in _LONG, f"rope_scaling is {kind!r}, expected longrope")
    for key in _FACTORS:
        fields.require(
            _are_factors(found.get(key), pairs),
            f"rope_scaling: {key!r}: expected {pairs} numbers greater than 0",
        )
    longest, original = lengths
    fields.require(original > 1, f"{_ORIGINAL!r}: expected at least 2", _ORIGINAL)
    inner = fields.within("rope_scaling", found)
    inner.refuse("short_mscale", "long_mscale", because=f"has one {_ATTENTION} only")
    given = {_ATTENTION: inner.number(_ATTENTION)} if inner.has(_ATTENTION) else {}
    times = inner.number("factor", longest / original)
    inner.require(
        math.isclose(times, longest / original),
        f"'factor' is {times}: expected {_LONGEST} / {_ORIGINAL}, which is "
        f"{longest / original}",
        *("factor", _LONGEST, _ORIGINAL),
    )
    return {
        "rope_type": "longrope",
        **{key: found.get(key) for key in _FACTORS},
        _LONGEST: longest,
        _ORIGINAL: original,
        **given,
    }


def _are_factors(found: object, pairs: int) -> bool:
    return (
        isinstance(found, list) and len(found) == pairs and all(map(is_positive, found))
    )


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    ours, theirs = "transformer.h.{i}.", "model.layers.{i}."
    renamed = {
        "transformer.embd": "model.embed_tokens",
        "transformer.norm": "model.norm",
        f"{ours}ln": f"{theirs}input_layernorm",
        f"{ours}mixer.qkv_proj": f"{theirs}self_attn.qkv_proj",
        f"{ours}mixer.out_proj": f"{theirs}self_attn.o_proj",
        f"{ours}mlp.gate_up_proj": f"{theirs}mlp.gate_up_proj",
        f"{ours}mlp.down_proj": f"{theirs}mlp.down_proj",
        f"{ours}post_attention_layernorm": f"{theirs}post_attention_layernorm",
    }
    return {
        f"{name}.weight": Recipe((f"{source}.weight",))
        for name, source in renamed.items()
    }
