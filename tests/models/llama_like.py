"""Llama and what differs little from it: names of weights, and logits in numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .reference import (
    Array,
    Weights,
    attention,
    layer,
    layer_norm,
    linear,
    rms_norm,
    silu,
)


def shapes(
    config: Mapping[str, Any], *, bias: bool = False, head: bool = True
) -> dict[str, tuple[int, ...]]:
    """Return all tensors of a checkpoint; ``bias``: of queries, keys and values."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    width = config.get("head_dim", hidden // config["num_attention_heads"])
    queries = width * config["num_attention_heads"]
    keys = width * config["num_key_value_heads"]
    table = (config["vocab_size"], hidden)
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": table,
        "model.norm.weight": (hidden,),
    }
    if head:
        found["lm_head.weight"] = table
    for n in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{n}."
        for part, rows in (("q", queries), ("k", keys), ("v", keys)):
            found[f"{prefix}self_attn.{part}_proj.weight"] = (rows, hidden)
            if bias:
                found[f"{prefix}self_attn.{part}_proj.bias"] = (rows,)
        found |= {
            f"{prefix}self_attn.o_proj.weight": (hidden, queries),
            f"{prefix}mlp.gate_proj.weight": (inner, hidden),
            f"{prefix}mlp.up_proj.weight": (inner, hidden),
            f"{prefix}mlp.down_proj.weight": (hidden, inner),
            f"{prefix}input_layernorm.weight": (hidden,),
            f"{prefix}post_attention_layernorm.weight": (hidden,),
        }
    return found


def logits(
    config: Mapping[str, Any],
    weights: Weights,
    tokens: Sequence[int],
    *,
    activation: Callable[[Array], Array] = silu,
    attend: Callable[..., Array] = attention,
    add_to_norms: int = 0,
    scale: float = 1,
) -> Array:
    """Return the logits of every position, (tokens, vocabulary).

    ``scale`` is the embedding's; without a head of its own, that is the head too.
    Queries and keys that have a norm are normalized in pieces as wide as its weight.
    """
    width = config.get(
        "head_dim", config["hidden_size"] // config["num_attention_heads"]
    )

    def norm(x: Array, weights: Weights, name: str) -> Array:
        weight = weights[f"{name}.weight"] + add_to_norms
        if f"{name}.bias" in weights:
            bias = weights[f"{name}.bias"]
            return layer_norm(x, weight, bias, config["layer_norm_eps"])
        return rms_norm(x, weight, config["rms_norm_eps"])

    def projected(h: Array, w: Weights, part: str) -> Array:
        rows = linear(h, w, f"self_attn.{part}_proj")
        if f"self_attn.{part}_norm.weight" not in w:
            return rows
        pieces = rows.reshape(len(rows), -1, w[f"self_attn.{part}_norm.weight"].size)
        return norm(pieces, w, f"self_attn.{part}_norm").reshape(rows.shape)

    table = weights["model.embed_tokens.weight"]
    x = table[list(tokens)].astype(np.float64) * scale
    for n in range(config["num_hidden_layers"]):
        w = layer(weights, f"model.layers.{n}.")
        h = norm(x, w, "input_layernorm")
        qkv = (projected(h, w, part) for part in "qkv")
        mixed = attend(*qkv, width=width, theta=config["rope_theta"])
        x = x + linear(mixed, w, "self_attn.o_proj")
        h = norm(x, w, "post_attention_layernorm")
        gate, up = linear(h, w, "mlp.gate_proj"), linear(h, w, "mlp.up_proj")
        x = x + linear(activation(gate) * up, w, "mlp.down_proj")
    return norm(x, weights, "model.norm") @ weights.get("lm_head.weight", table).T
