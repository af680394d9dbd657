"""GPT-2: learnt positions, and matrices that checkpoints store (in, out)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.architectures.config import ACTIVATIONS, Fields, ModelConfig
from mlcx.architectures.sizes import derive_context, derive_gpt_sizes
from mlcx.recipe import Recipe

__all__ = ["LAYERS", "UNUSED", "Config", "weights"]

_BODY = "[transformer.]"
"""Not in checkpoints that were written of the model without its head."""

_MATRICES = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")

LAYERS = (
    *("transformer.wte", "transformer.wpe"),
    *(f"transformer.h.{{i}}.{name}" for name in _MATRICES),
    "lm_head",
)

UNUSED = tuple(f"{_BODY}h.{{i}}.attn.{name}" for name in ("bias", "masked_bias"))


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from: MLC's fields in their order, then ours."""

    vocab_size: int
    n_embd: int
    n_layer: int
    n_head: int
    layer_norm_epsilon: float
    n_inner: int
    context_window_size: int
    prefill_chunk_size: int
    scale_attn_by_inverse_layer_idx: bool
    tensor_parallel_shards: int
    head_dim: int
    max_batch_size: int
    n_positions: int
    """Rows of the table of positions; in MLC, the context window."""
    activation_function: str
    tie_word_embeddings: bool
    """Whether the head is a copy of the embedding, as MLC always takes it for."""

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("gpt2", data)
        fields.refuse("add_cross_attention", because="attends to its own text alone")
        scaled = fields.flag("scale_attn_weights", default=True)
        fields.require(scaled, "scale_attn_weights is false, but gpt2 scales them")
        # It is about float16 in training: scores are float32 here in any case.
        fields.flag("reorder_and_upcast_attn")
        context, chunk = derive_context(fields)
        positions = fields.positive("n_positions", context)
        fields.require(
            context <= positions,
            f"a context of {context} tokens: expected at most n_positions, {positions}",
        )
        width, inner = derive_gpt_sizes(fields)
        named = fields.has("activation_function")
        return fields.read(
            cls,
            n_inner=inner,
            context_window_size=context,
            prefill_chunk_size=chunk,
            head_dim=width,
            n_positions=positions,
            activation_function=fields.choice("activation_function", *ACTIVATIONS)
            if named
            else "gelu_new",
            tie_word_embeddings=fields.flag("tie_word_embeddings", default=True),
        )


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    layer = "h.{i}."
    names = ["wte.weight", "wpe.weight"]
    for norm in (f"{layer}ln_1", f"{layer}ln_2", "ln_f"):
        names += [f"{norm}.weight", f"{norm}.bias"]
    recipes = {f"transformer.{name}": Recipe((f"{_BODY}{name}",)) for name in names}
    for matrix in _MATRICES:
        name = f"{layer}{matrix}"
        weight, bias = f"{_BODY}{name}.weight", f"{_BODY}{name}.bias"
        recipes[f"transformer.{name}.weight"] = Recipe((weight,), transposed=True)
        recipes[f"transformer.{name}.bias"] = Recipe((bias,))
    if config.tie_word_embeddings:
        recipes["lm_head.weight"] = recipes["transformer.wte.weight"]
    return recipes
