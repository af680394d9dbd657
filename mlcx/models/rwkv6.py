"""RWKV 6 ("Finch"): a recurrent model of linear attention, without a cache.

Formulas: Peng et al., "Eagle and Finch", arXiv:2404.05892, sections 3 and 4. Below, s
tokens of one forward, b sequences, h hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.models.config import Fields, ModelConfig
from mlcx.nn.group_norm import GroupNorm
from mlcx.nn.recurrence import Wkv6, wkv6
from mlcx.nn.rwkv import Rwkv
from mlcx.recipe import Array, Recipe

__all__ = ["UNUSED", "Attention", "Config", "FeedForward", "Model", "weights"]

UNUSED = ()

_UNBOUNDED = -1
"""How the format says that a sequence can be of any length."""

_MIXED = "wkvrg"
"""The five inputs of the attention: decay, key, value, receptance, gate."""


@dataclass(frozen=True)
class Config(ModelConfig):
    """What the model is built from, in MLC's names and order."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    vocab_size: int
    model_version: str
    tensor_parallel_shards: int
    rescale_every: int
    head_size: int
    layer_norm_epsilon: float
    context_window_size: int
    prefill_chunk_size: int
    num_heads: int
    max_batch_size: int
    head_size_divisor: int
    """Its square times 1e-5 is the epsilon of the heads' normalization."""

    @classmethod
    def from_hf(cls, data: Mapping[str, Any]) -> Config:
        """Read a Hugging Face config, or the ``model_config`` of an MLC one.

        Raises:
            InputError: Fields missing, of wrong types, or contradicting each other.
        """
        fields = Fields("rwkv6", data)
        hidden = fields.positive("hidden_size")
        size = fields.positive("head_size", 64)
        fields.require(
            hidden % size == 0, "hidden_size must be a multiple of head_size"
        )
        version = data.get("model_version", "6_0")
        fields.require(
            version == "6_0", f"'model_version': expected '6_0', found {version!r}"
        )
        fields.refuse("tie_word_embeddings", because="has a head of its own")
        rescale = data.get("rescale_every")
        bounded = fields.has("context_window_size")
        return fields.read(
            cls,
            intermediate_size=hidden // 2 * 7,
            model_version="6_0",
            rescale_every=fields.positive("rescale_every") if rescale else 0,
            head_size=size,
            layer_norm_epsilon=fields.number("layer_norm_epsilon", 1e-5),
            context_window_size=fields.positive("context_window_size")
            if bounded
            else _UNBOUNDED,
            prefill_chunk_size=fields.positive("prefill_chunk_size", 4096),
            num_heads=hidden // size,
            head_size_divisor=fields.positive("head_size_divisor", 8),
        )


def weights(config: Config) -> dict[str, Recipe]:
    """Return the recipes of the parameters that are not tensors of the same name."""
    recipes = {f"model.{name}": Recipe((f"rwkv.{name}",)) for name in _names()}
    for layer in range(config.num_hidden_layers):
        times = layer // config.rescale_every if config.rescale_every else 0
        for name in ("attention.output.weight", "feed_forward.value.weight"):
            block = f"blocks.{layer}.{name}"
            value = partial(_halved, times=times) if times else None
            recipes[f"model.{block}"] = Recipe((f"rwkv.{block}",), value=value)
    return recipes


def _names() -> list[str]:
    """Return the names of the body's parameters, without those that are scaled."""
    norms = ["ln_out", "blocks.0.pre_ln", "blocks.{i}.ln1", "blocks.{i}.ln2"]
    norms += ["blocks.{i}.attention.ln_x"]
    attention = [f"time_maa_{part}" for part in ("x", *_MIXED, "w1", "w2")]
    attention += ["time_decay", "time_decay_w1", "time_decay_w2", "time_faaaa"]
    attention += [f"{part}.weight" for part in ("receptance", "key", "value", "gate")]
    mlp = ("time_maa_k", "time_maa_r", "key.weight", "receptance.weight")
    return [
        "embeddings.weight",
        *(f"{norm}.{kind}" for norm in norms for kind in ("weight", "bias")),
        *(f"blocks.{{i}}.attention.{name}" for name in attention),
        *(f"blocks.{{i}}.feed_forward.{name}" for name in mlp),
    ]


def _halved(values: Array, times: int) -> Array:
    # In float32: of the smallest float16 values, a half is not one.
    return values.astype(np.float32) / np.float32(2**times)


class Model(Rwkv):
    """The language model, with activations in ``dtype``."""

    def __init__(self, config: Config, dtype: str) -> None:
        super().__init__(
            config, dtype, lambda: Attention(config), lambda: FeedForward(config)
        )


class Attention(nn.Module):
    """Linear attention, whose inputs mix each token with the one before it."""

    def __init__(self, config: Config) -> None:
        h, heads = config.hidden_size, (config.num_heads, config.head_size)
        mix, decay = (64, 128) if h == 4096 else (32, 64)
        for part in ("x", *_MIXED):
            setattr(self, f"time_maa_{part}", nn.Parameter((1, 1, h)))
        self.time_maa_w1 = nn.Parameter((h, len(_MIXED) * mix))
        self.time_maa_w2 = nn.Parameter((len(_MIXED), mix, h))
        self.time_decay = nn.Parameter((1, 1, h))
        self.time_decay_w1 = nn.Parameter((h, decay))
        self.time_decay_w2 = nn.Parameter((decay, h))
        self.time_faaaa = nn.Parameter(heads)
        self.receptance, self.key, self.value, self.gate, self.output = (
            nn.Linear(h, h, bias=False) for _ in range(5)
        )
        epsilon = 1e-5 * config.head_size_divisor**2
        self.ln_x = GroupNorm(config.num_heads, h, epsilon)

    def to(self, dtype: str | None = None) -> None:
        """Change the dtype of all but what the recurrence reads in float32."""
        super().to(dtype)
        for part in (self.time_decay, self.time_faaaa, self.ln_x):
            part.to("float32")

    def forward(
        self, x: nn.Tensor, shifted: nn.Tensor, before: nn.Tensor, ends: nn.Tensor
    ) -> tuple[nn.Tensor, nn.Tensor]:
        """Map ``x`` (s, h) to (s, h), and ``before`` to the states after it."""
        decay, key, value, receptance, gate = self._mixed(x, shifted)
        low = _tanh(op.matmul(decay, self.time_decay_w1))
        decay = op.matmul(low, self.time_decay_w2).astype("float32")
        inputs = Wkv6(
            self.receptance(receptance),
            self.key(key),
            self.value(value),
            decay + _vector(self.time_decay),
            self.time_faaaa,
        )
        out, after = wkv6(inputs, before, ends)
        out = self.ln_x(out).astype(x.dtype) * op.silu(self.gate(gate))
        return self.output(out), after

    def _mixed(self, x: nn.Tensor, shifted: nn.Tensor) -> list[nn.Tensor]:
        """Return five mixtures (s, h), by weights that depend on a first one."""
        step = shifted - x
        parts, rank, _ = self.time_maa_w2.shape
        first = x + step * _vector(self.time_maa_x)
        low = _tanh(op.matmul(first, self.time_maa_w1))
        low = op.permute_dims(op.reshape(low, (x.shape[0], parts, rank)), (1, 0, 2))
        learnt = op.split(op.matmul(low, self.time_maa_w2), len(_MIXED), axis=0)
        return [
            x + step * (_vector(getattr(self, f"time_maa_{part}")) + op.squeeze(own, 0))
            for part, own in zip(_MIXED, learnt, strict=True)
        ]


class FeedForward(nn.Module):
    """Feed-forward with a squared ReLU and a gate."""

    def __init__(self, config: Config) -> None:
        h, inner = config.hidden_size, config.intermediate_size
        self.time_maa_k = nn.Parameter((1, 1, h))
        self.time_maa_r = nn.Parameter((1, 1, h))
        self.key = nn.Linear(h, inner, bias=False)
        self.receptance = nn.Linear(h, h, bias=False)
        self.value = nn.Linear(inner, h, bias=False)

    def forward(self, x: nn.Tensor, shifted: nn.Tensor) -> nn.Tensor:
        """Map ``x`` (s, h) to (s, h)."""
        step = shifted - x
        key = op.relu(self.key(x + step * _vector(self.time_maa_k)))
        gate = self.receptance(x + step * _vector(self.time_maa_r)).astype("float32")
        return op.sigmoid(gate).astype(x.dtype) * self.value(key * key)


def _vector(parameter: nn.Parameter) -> nn.Tensor:
    """Return a parameter (1, 1, h) as (h,)."""
    return op.reshape(parameter, (parameter.shape[-1],))


def _tanh(x: nn.Tensor) -> nn.Tensor:
    return op.tanh(x.astype("float32")).astype(x.dtype)
