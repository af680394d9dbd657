"""InternLM2: Llama in other names, each group's queries next to its key and value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcx.architectures.config import Fields, ModelConfig
from mlcx.architectures.sizes import derive_context, derive_heads
from mlcx.recipe import Recipe, joined

__all__ = ["LAYERS", "UNUSED", "Config", "weights"]

_LAYER = "model.layers.{i}."

LAYERS = (
    "model.tok_embeddings",
    *(f"{_LAYER}attention.{name}" for name in ("wqkv", "wo")),
    *(f"{_LAYER}feed_forward.{name}" for name in ("gate_up_proj", "w2")),
    "output",
)

UNUSED = (f"{_LAYER}attention.rotary_emb.inv_freq",)

_USUAL_CHUNK = 2048


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from, in MLC's names and order."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    rms_norm_eps: float
    intermediate_size: int
    bias: bool
    """Of the attention's projections."""
    use_cache: bool
    """MLC's, as are the token ids: without effect."""
    rope_theta: float
    pad_token_id: int
    bos_token_id: int
    eos_token_id: int
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
        fields = Fields("internlm2", data)
        fields.refuse("tie_word_embeddings", because="has a head of its own here")
        fields.accept("hidden_act", "silu")
        # Dynamic scaling begins where the context that the model is trained on ends.
        fields.rope_scaling({"dynamic": ("factor",)})
        context, chunk = derive_context(fields, _USUAL_CHUNK)
        trained = fields.positive("max_position_embeddings", context)
        fields.require(
            fields.scaling()[0] == "default" or context <= trained,
            f"a context of {context} tokens: expected at most max_position_embeddings, "
            f"{trained}, from where on RoPE would be scaled dynamically",
        )
        keys, width = derive_heads(fields)
        return fields.read(
            cls,
            num_key_value_heads=keys,
            bias=fields.flag("bias", default=True),
            use_cache=fields.flag("use_cache", default=True),
            rope_theta=fields.rope_theta(),
            pad_token_id=fields.count("pad_token_id", 0),
            bos_token_id=fields.count("bos_token_id", 1),
            eos_token_id=fields.count("eos_token_id", 2),
            context_window_size=context,
            prefill_chunk_size=chunk,
            head_dim=width,
        )


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    keys = config.num_key_value_heads
    shared = config.num_attention_heads // keys
    names = [f"{_LAYER}attention.wqkv.{kind}" for kind in ("weight", "bias")]
    qkv = {
        name: Recipe((name,), groups=keys, parts=(shared, 1, 1))
        for name in names[: 1 + config.bias]
    }
    parts = ("gate_up_proj.weight", "w1.weight", "w3.weight")
    return qkv | joined(f"{_LAYER}feed_forward.", *parts)
