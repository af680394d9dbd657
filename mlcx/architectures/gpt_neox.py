"""GPT-NeoX (Pythia, Dolly, RedPajama): layer norms, biases, partly rotated heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.architectures.config import Fields, ModelConfig
from mlcx.architectures.sizes import derive_context, derive_heads
from mlcx.recipe import Recipe

__all__ = ["LAYERS", "UNUSED", "Config", "weights"]

_ATTENTION = "gpt_neox.layers.{i}.attention."

LAYERS = (
    "gpt_neox.embed_in",
    *(f"{_ATTENTION}{name}" for name in ("query_key_value", "dense")),
    *(f"gpt_neox.layers.{{i}}.mlp.dense_{way}" for way in ("h_to_4h", "4h_to_h")),
    "embed_out",
)

UNUSED = tuple(
    _ATTENTION + name for name in ("rotary_emb.inv_freq", "masked_bias", "bias")
)


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from, in MLC's names and order."""

    use_parallel_residual: bool
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_hidden_layers: int
    layer_norm_eps: float
    vocab_size: int
    rotary_pct: float
    position_embedding_base: float
    context_window_size: int
    head_dim: int
    prefill_chunk_size: int
    tensor_parallel_shards: int
    ffn_out_dtype: str
    """Of what the feed-forward layers' matrices give, and of their biases."""
    max_batch_size: int

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("gpt_neox", data)
        fields.refuse("tie_word_embeddings", because="has a head of its own here")
        biased = fields.flag("attention_bias", default=True)
        fields.require(biased, "attention_bias is false, but gpt_neox has biases here")
        # As in MLC, all are the exact one: that differs by less than 1e-3.
        fields.accept("hidden_act", "gelu", "gelu_fast", "gelu_new")
        fields.rope_scaling({})
        context, chunk = derive_context(fields)
        _, width = derive_heads(fields)
        return fields.read(
            cls,
            use_parallel_residual=fields.flag("use_parallel_residual", default=True),
            rotary_pct=fields.rotated_share("rotary_pct", width),
            position_embedding_base=fields.rope_theta("rotary_emb_base"),
            context_window_size=context,
            head_dim=width,
            prefill_chunk_size=chunk,
            ffn_out_dtype="float32",
        )


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    heads = config.num_attention_heads
    names = [f"{_ATTENTION}query_key_value.{kind}" for kind in ("weight", "bias")]
    return {name: Recipe((name,), heads, parts=(1, 1, 1)) for name in names}
