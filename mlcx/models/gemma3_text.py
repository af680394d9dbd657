"""Gemma 3, of text: Gemma 2 with norms of queries and keys, and two kinds of layers.

Most layers slide and rotate in one way, every sixth sees all and rotates in another. In
MLC LLM both rotate alike, and the limit of the context comes from the window; here it
is the checkpoint's. Multimodal checkpoints are read too, without what they see with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.models.config import OPEN, Fields, ModelConfig
from mlcx.models.fused import GATE_UP
from mlcx.models.gemma import GemmaLM, decided, plus_one
from mlcx.models.gemma2 import NORMS
from mlcx.models.layer_types import (
    FULL,
    SLIDING,
    derive_layer_window,
    derive_pattern,
)
from mlcx.nn.attention import SelfAttention
from mlcx.nn.causal_lm import heads_of, rms_norm
from mlcx.nn.decoder import DecoderLM
from mlcx.nn.head import soft_capped
from mlcx.nn.kv_cache import KVCacheSpec, PagedKVCache
from mlcx.nn.layer import SandwichLayer
from mlcx.nn.rotary import Rotary, join_rotary
from mlcx.recipe import Recipe

__all__ = ["UNUSED", "Attention", "Config", "LanguageModel", "Model", "weights"]

_SIGHT = "vision_tower.[vision_model.]"
_SIGHT_LAYERS = (
    *("layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2"),
    *(f"self_attn.{part}_proj" for part in ("q", "k", "v", "out")),
)
_SIGHT_PARTS = (
    *(f"encoder.layers.{{i}}.{part}" for part in _SIGHT_LAYERS),
    *("embeddings.patch_embedding", "post_layernorm"),
)
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
        fields.require(
            local == "default",
            f"rope_type of sliding_attention: expected 'default', found {local!r}",
        )
        fields.refuse("attn_logit_softcapping", because="does not cap scores")
        cap = "final_logit_softcapping"
        window = "sliding_window" if "sliding_window" in data else _MLC_WINDOW
        layers = fields.positive("num_hidden_layers")
        return fields.read(
            cls,
            **decided(fields, "gelu_pytorch_tanh"),
            rope_scaling=fields.rope_scaling({"linear": ("factor",)}),
            query_pre_attn_scalar=fields.positive("query_pre_attn_scalar", 256),
            sliding_window=derive_layer_window(fields, data, window, 4096),
            sliding_window_pattern=derive_pattern(fields, data, layers, 6),
            rope_local_base_freq=fields.number("rope_local_base_freq", 10000.0),
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


def _rotations(data: Mapping[str, Any]) -> tuple[Mapping[str, Any], object]:
    """Say in older names how both kinds of layers rotate.

    Also return the ``rope_type`` of those that slide.
    """
    found = {**data, "rope_theta": data.get("rope_theta") or 1e6}
    kinds = data.get("rope_parameters")
    if not isinstance(kinds, Mapping) or not {FULL, SLIDING} & kinds.keys():
        return found, "default"
    local = kinds.get(SLIDING) or {}
    found["rope_parameters"] = kinds.get(FULL)
    if not isinstance(local, Mapping):
        return found, local
    if "rope_theta" in local:
        found["rope_local_base_freq"] = local["rope_theta"]
    return found, local.get("rope_type", "default")


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    attention = "model.layers.{i}.self_attn."
    norms = (*NORMS, *(f"{attention}{part}_norm" for part in "qk"))
    recipes = GATE_UP | plus_one(*norms)
    for name in (
        "model.embed_tokens.weight",
        "model.layers.{i}.mlp.down_proj.weight",
        *(f"{attention}{part}_proj.weight" for part in "qkvo"),
    ):
        recipes[name] = Recipe((name,))
    return {
        f"language_model.{name}": replace(
            recipe, tensors=tuple(f"[language_model.]{one}" for one in recipe.tensors)
        )
        for name, recipe in recipes.items()
    }


class Attention(SelfAttention):
    """With norms for each head, and a rotation for each kind of layer."""

    def __init__(self, config: Config) -> None:
        super().__init__(heads_of(config))
        hidden, width = config.hidden_size, config.head_dim
        keys = config.num_key_value_heads * width
        self.q_proj = nn.Linear(hidden, self.width, bias=False)
        self.k_proj = nn.Linear(hidden, keys, bias=False)
        self.v_proj = nn.Linear(hidden, keys, bias=False)
        self.o_proj = nn.Linear(self.width, hidden, bias=False)
        self.q_norm = nn.RMSNorm(width, -1, config.rms_norm_eps, bias=False)
        self.k_norm = nn.RMSNorm(width, -1, config.rms_norm_eps, bias=False)
        self.scale = config.query_pre_attn_scalar**-0.5
        self.pattern = config.sliding_window_pattern
        self.windowed = config.sliding_window != OPEN
        self.rotary = Rotary(config.position_embedding_base, config.rope_scaling)
        self.local_rotary = Rotary(config.rope_local_base_freq, None)

    def local(self, layer: int) -> bool:
        """Say whether ``layer`` is of the kind that slides if there is a window."""
        return (layer + 1) % self.pattern != 0

    def slides(self, layer: int) -> bool:
        """Say whether ``layer`` sees no more than the cache's ``layer_window``."""
        return self.windowed and self.local(layer)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        """Map ``x`` (b, s, hidden) to (b, s, hidden), appending to ``layer``."""
        b, s, _ = x.shape
        queries, keys = self.heads.num_q_heads, self.heads.num_kv_heads
        q, k, v = (
            op.reshape(projection(x), (b * s, count, self.heads.head_dim))
            for projection, count in (
                (self.q_proj, queries),
                (self.k_proj, keys),
                (self.v_proj, keys),
            )
        )
        rotary = self.local_rotary if self.local(layer) else self.rotary
        at = cache.get_query_positions(b * s)
        qkv = join_rotary(self.q_norm(q), self.k_norm(k), v, at, rotary)
        qkv = op.reshape(qkv, (b, s, self.qkv_width))
        return self.o_proj(self.attend(qkv, cache, layer))


class LanguageModel(GemmaLM[Config]):
    """The network, with its cache in ``dtype``; always tied."""

    def __init__(self, config: Config, dtype: str) -> None:
        slides = config.sliding_window != OPEN
        cache = KVCacheSpec.of(
            heads_of(config),
            num_layers=config.num_hidden_layers,
            rotary_dim=0,
            dtype=dtype,
            layer_window=config.sliding_window if slides else None,
        )
        norm = rms_norm(config.hidden_size, config.rms_norm_eps)
        super().__init__(config, cache, norm, tied=True)
        self.softcap = config.final_logit_softcapping

    def layer(self, config: Config, norm: Callable[[], nn.Module]) -> SandwichLayer:
        """Return a new layer, a map of (x, cache, layer)."""
        return SandwichLayer(Attention(config), self.mlp(config), norm)

    def get_logits(self, hidden_states: nn.Tensor) -> nn.Tensor:
        """Hidden states (..., h) to float32 logits (..., V)."""
        return soft_capped(super().get_logits(hidden_states), self.softcap)


class Model(DecoderLM):
    """The language model, which has its parameters below ``language_model``."""

    def __init__(self, config: Config, dtype: str) -> None:
        network = LanguageModel(config, dtype)
        super().__init__(network.state_spec, network.hidden_size)
        self.language_model = network

    def embed(self, input_ids: nn.Tensor) -> nn.Tensor:
        """Token ids (s,) int32 to embeddings (s, h)."""
        return self.language_model.embed(input_ids)

    def forward(self, x: nn.Tensor, cache: PagedKVCache) -> nn.Tensor:
        """Embeddings (b, s, h) to final hidden states (b, s, h)."""
        return self.language_model(x, cache)

    def get_logits(self, hidden_states: nn.Tensor) -> nn.Tensor:
        """Hidden states (..., h) to float32 logits (..., V)."""
        return self.language_model.get_logits(hidden_states)
