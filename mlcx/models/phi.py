"""Phi 1, 1.5 and 2: one norm before attention and feed-forward, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tvm.relax.frontend import nn

from mlcx.models.config import Fields, ModelConfig
from mlcx.models.sizes import derive_context, derive_heads
from mlcx.nn.attention import SelfAttention
from mlcx.nn.causal_lm import heads_of
from mlcx.nn.decoder import DecoderLM
from mlcx.nn.embedding import Embedding
from mlcx.nn.head import BiasedHead
from mlcx.nn.kv_cache import Heads, KVCacheSpec, PagedKVCache
from mlcx.nn.layer import in_turn
from mlcx.nn.mlp import gelu_tanh
from mlcx.recipe import Recipe

__all__ = ["UNUSED", "Config", "Model", "weights"]

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


class _Attention(SelfAttention):
    def __init__(self, hidden_size: int, heads: Heads) -> None:
        super().__init__(heads)
        self.Wqkv = nn.Linear(hidden_size, self.qkv_width)
        self.out_proj = nn.Linear(self.width, hidden_size)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        return self.out_proj(self.attend(self.Wqkv(x), cache, layer))


class _MLP(nn.Module):
    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        self.fc1 = nn.Linear(hidden_size, intermediate_size)
        self.fc2 = nn.Linear(intermediate_size, hidden_size)

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        return self.fc2(gelu_tanh(self.fc1(x)))


class _Layer(nn.Module):
    def __init__(self, config: Config) -> None:
        hidden = config.hidden_size
        self.ln = nn.LayerNorm(hidden, config.layer_norm_eps)
        self.mixer = _Attention(hidden, heads_of(config))
        self.mlp = _MLP(hidden, config.intermediate_size)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        h = self.ln(x)
        return x + self.mixer(h, cache, layer) + self.mlp(h)


class _Body(nn.Module):
    def __init__(self, config: Config) -> None:
        self.embd = Embedding(config.vocab_size, config.hidden_size)
        self.h = nn.ModuleList(
            [_Layer(config) for _ in range(config.num_hidden_layers)]
        )

    def forward(self, x: nn.Tensor, cache: PagedKVCache) -> nn.Tensor:
        return in_turn(self.h, x, cache)


class _Head(nn.Module):
    def __init__(self, config: Config) -> None:
        self.ln = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.linear = BiasedHead(config.hidden_size, config.vocab_size)

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        return self.linear(self.ln(x))


class Model(DecoderLM):
    """The language model, with its cache in ``dtype``; never tied."""

    def __init__(self, config: Config, dtype: str) -> None:
        cache = KVCacheSpec.of(
            heads_of(config),
            num_layers=config.num_hidden_layers,
            rope_theta=config.position_embedding_base,
            rotary_dim=int(config.head_dim * config.partial_rotary_factor),
            dtype=dtype,
        )
        super().__init__(cache, config.hidden_size)
        self.transformer = _Body(config)
        self.lm_head = _Head(config)
        self.to(dtype)

    def embed(self, input_ids: nn.Tensor) -> nn.Tensor:
        """Token ids (s,) int32 to embeddings (s, h)."""
        return self.transformer.embd(input_ids)

    def forward(self, x: nn.Tensor, cache: PagedKVCache) -> nn.Tensor:
        """Embeddings (b, s, h) to hidden states (b, s, h); the head norms them."""
        return self.transformer(x, cache)

    def get_logits(self, hidden_states: nn.Tensor) -> nn.Tensor:
        """Hidden states (..., h) to float32 logits (..., V)."""
        return self.lm_head(hidden_states)
