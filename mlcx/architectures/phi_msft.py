"""Phi 1.5 and 2 as first published: the network of ``phi`` under other names.

Two families of checkpoints have them, of the types phi-msft and mixformer-sequential.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.architectures import phi
from mlcx.architectures.config import Fields, ModelConfig
from mlcx.architectures.sizes import derive_context, derive_gpt_sizes, derive_rotary
from mlcx.recipe import Recipe

__all__ = ["LAYERS", "UNUSED", "Config", "weights"]

LAYERS = phi.LAYERS

UNUSED = (
    "transformer.h.{i}.mixer.rotary_emb.inv_freq",
    "layers.{i}.mixer.rotary_emb.inv_freq",
)

_NUMBERED = "mixformer-sequential"
"""Whose modules are numbered from the embedding to the head."""


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from: MLC's fields in their order, then ours."""

    model_type: str
    """Of the checkpoint: it decides the tensors' names."""
    vocab_size: int
    n_positions: int
    n_embd: int
    n_layer: int
    n_inner: int
    n_head: int
    rotary_dim: int
    position_embedding_base: float
    layer_norm_epsilon: float
    context_window_size: int
    prefill_chunk_size: int
    n_head_kv: int
    head_dim: int
    tensor_parallel_shards: int
    max_batch_size: int

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("phi-msft", data)
        fields.refuse("tie_word_embeddings", because="has a head of its own here")
        fields.accept("activation_function", "gelu_new", "gelu_fast")
        context, chunk = derive_context(fields)
        width, inner = derive_gpt_sizes(fields)
        heads = fields.positive("n_head")
        keys = fields.positive("n_head_kv", heads)
        fields.require(heads % keys == 0, "n_head must be a multiple of n_head_kv")
        return fields.read(
            cls,
            model_type=fields.choice("model_type", "phi-msft", _NUMBERED),
            n_positions=fields.positive("n_positions", context),
            n_inner=inner,
            rotary_dim=derive_rotary(fields, width, 32),
            position_embedding_base=fields.rope_theta(),
            context_window_size=context,
            prefill_chunk_size=chunk,
            n_head_kv=keys,
            head_dim=width,
        )

    def _rotated_share(self) -> float:
        """Return what gives ``rotary_dim`` when a head's width is multiplied with it.

        As whole dimensions count, the quotient may give one less: 44 * (30 / 44) < 30.
        """
        share = self.rotary_dim / self.head_dim
        exact = int(self.head_dim * share) == self.rotary_dim
        return share if exact else math.nextafter(share, math.inf)

    def as_phi(self) -> phi.Config:
        """Return the same sizes in the names of ``phi``."""
        return phi.Config(
            vocab_size=self.vocab_size,
            hidden_size=self.n_embd,
            intermediate_size=self.n_inner,
            num_hidden_layers=self.n_layer,
            num_attention_heads=self.n_head,
            layer_norm_eps=self.layer_norm_epsilon,
            position_embedding_base=self.position_embedding_base,
            partial_rotary_factor=self._rotated_share(),
            num_key_value_heads=self.n_head_kv,
            context_window_size=self.context_window_size,
            prefill_chunk_size=self.prefill_chunk_size,
            head_dim=self.head_dim,
            tensor_parallel_shards=self.tensor_parallel_shards,
            max_batch_size=self.max_batch_size,
        )


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    if config.model_type != _NUMBERED:
        return {"transformer.embd.weight": Recipe(("transformer.embd.wte.weight",))}
    head = f"layers.{config.n_layer + 1}."
    renamed = {f"lm_head.{name}": f"{head}{name}" for name in ("ln", "linear")}
    for n in range(config.n_layer):
        for name in ("ln", "mixer.Wqkv", "mixer.out_proj", "mlp.fc1", "mlp.fc2"):
            renamed[f"transformer.h.{n}.{name}"] = f"layers.{n + 1}.{name}"
    recipes = {"transformer.embd.weight": Recipe(("layers.0.wte.weight",))}
    for kind in ("weight", "bias"):
        recipes |= {
            f"{name}.{kind}": Recipe((f"{source}.{kind}",))
            for name, source in renamed.items()
        }
    return recipes
