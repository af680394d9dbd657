"""Mixtral: Mistral with a few of several feed-forward blocks for each token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.models.config import Fields, ModelConfig
from mlcx.models.fused import ROTARY, qkv
from mlcx.models.mistral import sliding_cache
from mlcx.models.sizes import derive_heads, derive_window
from mlcx.nn.attention import SelfAttention
from mlcx.nn.causal_lm import CausalLM, rms_norm
from mlcx.nn.kv_cache import PagedKVCache
from mlcx.nn.moe import Experts, Router, mixture, route
from mlcx.recipe import Recipe

__all__ = ["UNUSED", "Config", "Layer", "MoE", "Model", "weights"]

UNUSED = ROTARY


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from, in MLC's names and order, then a window's sizes."""

    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_hidden_layers: int
    rms_norm_eps: float
    vocab_size: int
    tie_word_embeddings: bool
    position_embedding_base: float
    rope_scaling: None
    context_window_size: int
    """-1: no limit, since the window slides."""
    prefill_chunk_size: int
    num_key_value_heads: int
    head_dim: int
    tensor_parallel_shards: int
    pipeline_parallel_stages: int
    max_batch_size: int
    disaggregation: bool
    num_local_experts: int
    num_experts_per_tok: int
    sliding_window_size: int
    """-1: no window."""
    attention_sink_size: int

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("mixtral", data)
        fields.accept("hidden_act", "silu")
        fields.rope_scaling({})
        keys, width = derive_heads(fields)
        experts = fields.positive("num_local_experts")
        fields.require(
            fields.positive("num_experts_per_tok") <= experts,
            "num_experts_per_tok must not exceed num_local_experts",
        )
        return fields.read(
            cls,
            **derive_window(fields, sinks=4),
            position_embedding_base=fields.rope_theta(absent=1e6),
            rope_scaling=None,
            num_key_value_heads=keys,
            head_dim=width,
        )


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    source, moe = "model.layers.{i}.block_sparse_moe.", "model.layers.{i}.moe."
    experts = [f"{source}experts.{e}." for e in range(config.num_local_experts)]
    gates_ups = (f"{each}{part}.weight" for each in experts for part in ("w1", "w3"))
    return qkv("qkv_proj") | {
        f"{moe}gate.weight": Recipe((f"{source}gate.weight",)),
        f"{moe}e1_e3.weight": Recipe(tuple(gates_ups)),
        f"{moe}e2.weight": Recipe(tuple(f"{each}w2.weight" for each in experts)),
    }


class MoE(nn.Module):
    """A mixture of experts, their weights normalized for each token."""

    def __init__(self, config: Config) -> None:
        hidden, inner = config.hidden_size, config.intermediate_size
        experts = config.num_local_experts
        self.chosen = config.num_experts_per_tok
        self.gate = Router(hidden, experts)
        self.e1_e3 = Experts(experts, hidden, 2 * inner)
        self.e2 = Experts(experts, inner, hidden, "float32")

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        """Map ``x`` (b, s, h) to (b, s, h)."""
        b, s, h = x.shape
        rows = op.reshape(x, (b * s, h))
        routing = route(self.gate(rows), self.chosen, normalized=True)
        return op.reshape(mixture(rows, routing, self.e1_e3, self.e2), x.shape)


class Layer(nn.Module):
    """Attention, then experts, each behind a norm and beside a residual."""

    def __init__(
        self, attention: SelfAttention, moe: MoE, norm: Callable[[], nn.Module]
    ) -> None:
        self.self_attn = attention
        self.moe = moe
        self.input_layernorm = norm()
        self.post_attention_layernorm = norm()

    def forward(self, x: nn.Tensor, cache: PagedKVCache, layer: int) -> nn.Tensor:
        """Map ``x`` (b, s, h) to (b, s, h)."""
        x = x + self.self_attn(self.input_layernorm(x), cache, layer)
        return x + self.moe(self.post_attention_layernorm(x))


class Model(CausalLM[Config]):
    """The language model, with its cache in ``dtype``."""

    def __init__(self, config: Config, dtype: str) -> None:
        cache = sliding_cache(config, config.position_embedding_base, dtype)
        norm = rms_norm(config.hidden_size, config.rms_norm_eps)
        super().__init__(config, cache, norm, tied=config.tie_word_embeddings)

    def layer(self, config: Config, norm: Callable[[], nn.Module]) -> Layer:
        """Return a new layer, a map of (x, cache, layer)."""
        return Layer(self.attention(config), MoE(config), norm)
