"""GPT-J: one norm before attention and feed-forward, neighbours of a head rotated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from tvm.relax.frontend import nn

from mlcx.models.config import Fields, ModelConfig
from mlcx.models.sizes import derive_context, derive_gpt_sizes, derive_rotary
from mlcx.nn.attention import SelfAttention
from mlcx.nn.embedding import Embedding
from mlcx.nn.gpt import Body, GptLM
from mlcx.nn.head import BiasedHead
from mlcx.nn.kv_cache import Heads, KVCacheSpec, PagedKVCache
from mlcx.nn.mlp import ACTIVATIONS
from mlcx.recipe import Recipe, joined

__all__ = ["UNUSED", "Config", "Model", "weights"]

_ATTENTION = "transformer.h.{i}.attn."

UNUSED = (f"{_ATTENTION}bias", f"{_ATTENTION}masked_bias")

_INTERLEAVED = "gptj"
_THETA = 10000.0
"""RoPE's base, which no config names."""

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


class _Attention(SelfAttention):
    def __init__(self, config: Config) -> None:
        super().__init__(Heads(config.n_head, config.n_head, config.head_dim))
        self.c_attn = nn.Linear(config.n_embd, self.qkv_width, bias=False)
        self.out_proj = nn.Linear(self.width, config.n_embd, bias=False)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        return self.out_proj(self.attend(self.c_attn(x), cache, layer))


class _MLP(nn.Module):
    def __init__(self, config: Config) -> None:
        self.fc_in = nn.Linear(config.n_embd, config.n_inner)
        self.fc_out = nn.Linear(config.n_inner, config.n_embd)
        self.activation = ACTIVATIONS[config.activation_function]

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        return self.fc_out(self.activation(self.fc_in(x)))


class _Layer(nn.Module):
    """Attention and feed-forward side by side."""

    def __init__(self, config: Config) -> None:
        self.ln_1 = nn.LayerNorm(config.n_embd, config.layer_norm_epsilon)
        self.attn = _Attention(config)
        self.mlp = _MLP(config)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        h = self.ln_1(x)
        return x + self.attn(h, cache, layer) + self.mlp(h)


class Model(GptLM):
    """The language model, with its cache in ``dtype``; never tied."""

    def __init__(self, config: Config, dtype: str) -> None:
        cache = KVCacheSpec.of(
            Heads(config.n_head, config.n_head, config.head_dim),
            num_layers=config.n_layer,
            rope_theta=_THETA,
            rotary_dim=config.rotary_dim,
            interleaved=True,
            dtype=dtype,
        )
        body = Body(
            Embedding(config.vocab_size, config.n_embd),
            [_Layer(config) for _ in range(config.n_layer)],
            nn.LayerNorm(config.n_embd, config.layer_norm_epsilon),
        )
        super().__init__(body, BiasedHead(config.n_embd, config.vocab_size), cache)
