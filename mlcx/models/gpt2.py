"""GPT-2: learnt positions, and matrices that checkpoints store (in, out)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.models.config import Fields, ModelConfig
from mlcx.models.sizes import derive_context, derive_gpt_sizes
from mlcx.nn.attention import SelfAttention
from mlcx.nn.embedding import Embedding
from mlcx.nn.gpt import Body, GptLM
from mlcx.nn.kv_cache import Heads, KVCacheSpec, PagedKVCache
from mlcx.nn.mlp import ACTIVATIONS
from mlcx.recipe import Recipe

__all__ = ["UNUSED", "Config", "Model", "weights"]

_BODY = "[transformer.]"
"""Not in checkpoints that were written of the model without its head."""

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
    for matrix in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"):
        name = f"{layer}{matrix}"
        weight, bias = f"{_BODY}{name}.weight", f"{_BODY}{name}.bias"
        recipes[f"transformer.{name}.weight"] = Recipe((weight,), transposed=True)
        recipes[f"transformer.{name}.bias"] = Recipe((bias,))
    if config.tie_word_embeddings:
        recipes["lm_head.weight"] = recipes["transformer.wte.weight"]
    return recipes


class _Attention(SelfAttention):
    def __init__(self, config: Config, layer: int) -> None:
        super().__init__(Heads(config.n_head, config.n_head, config.head_dim))
        self.c_attn = nn.Linear(config.n_embd, self.qkv_width)
        self.c_proj = nn.Linear(self.width, config.n_embd)
        if config.scale_attn_by_inverse_layer_idx:
            self.scale /= layer + 1

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        return self.c_proj(self.attend(self.c_attn(x), cache, layer))


class _MLP(nn.Module):
    def __init__(self, config: Config) -> None:
        self.c_fc = nn.Linear(config.n_embd, config.n_inner)
        self.c_proj = nn.Linear(config.n_inner, config.n_embd)
        self.activation = ACTIVATIONS[config.activation_function]

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        return self.c_proj(self.activation(self.c_fc(x)))


class _Layer(nn.Module):
    def __init__(self, config: Config, layer: int) -> None:
        self.ln_1 = _norm(config)
        self.attn = _Attention(config, layer)
        self.ln_2 = _norm(config)
        self.mlp = _MLP(config)

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        x = x + self.attn(self.ln_1(x), cache, layer)
        return x + self.mlp(self.ln_2(x))


class _Body(Body):
    """Whose embeddings get the position's vector, from the table ``wpe``."""

    def __init__(self, config: Config) -> None:
        layers = [_Layer(config, n) for n in range(config.n_layer)]
        table = Embedding(config.vocab_size, config.n_embd)
        super().__init__(table, layers, _norm(config))
        self.wpe = Embedding(config.n_positions, config.n_embd)

    def forward(self, x: nn.Tensor, cache: PagedKVCache) -> nn.Tensor:
        b, s, _ = x.shape
        positions = cache.get_query_positions(b * s)
        return super().forward(x + op.reshape(self.wpe(positions), x.shape), cache)


class Model(GptLM):
    """The language model, with its cache in ``dtype``; the head is its own matrix."""

    def __init__(self, config: Config, dtype: str) -> None:
        cache = KVCacheSpec.of(
            Heads(config.n_head, config.n_head, config.head_dim),
            num_layers=config.n_layer,
            rotary_dim=0,
            dtype=dtype,
        )
        head = nn.Linear(
            config.n_embd, config.vocab_size, bias=False, out_dtype="float32"
        )
        super().__init__(_Body(config), head, cache)


def _norm(config: Config) -> nn.LayerNorm:
    return nn.LayerNorm(config.n_embd, config.layer_norm_epsilon)
