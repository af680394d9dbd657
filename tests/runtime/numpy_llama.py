"""Llama in numpy, float64, the whole text at once: a reference for small models.

Written from the architecture's description, as transformers computes it: RMSNorm before
each block, half-split rotation, grouped-query attention, SiLU-gated MLP. Qwen 3 too,
whose heads are normalized where there are weights for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[np.float32]]


def random_checkpoint(config: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Random weights by their names in a Hugging Face checkpoint.

    They are exact in float16.
    """
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    head = config.get("head_dim", hidden // config["num_attention_heads"])
    queries = head * config["num_attention_heads"]
    keys = head * config["num_key_value_heads"]
    shapes = {
        "model.embed_tokens.weight": (config["vocab_size"], hidden),
        "model.norm.weight": (hidden,),
        "lm_head.weight": (config["vocab_size"], hidden),
    }
    for n in range(config["num_hidden_layers"]):
        layer = {
            "self_attn.q_proj": (queries, hidden),
            "self_attn.k_proj": (keys, hidden),
            "self_attn.v_proj": (keys, hidden),
            "self_attn.o_proj": (hidden, queries),
            "mlp.gate_proj": (inner, hidden),
            "mlp.up_proj": (inner, hidden),
            "mlp.down_proj": (hidden, inner),
            "input_layernorm": (hidden,),
            "post_attention_layernorm": (hidden,),
        }
        shapes |= {f"model.layers.{n}.{k}.weight": shape for k, shape in layer.items()}
    random = np.random.default_rng(seed)
    return {
        name: _rounded(
            random.normal(size=shape) / shape[-1] ** 0.5
            if len(shape) == 2
            else random.uniform(0.5, 1.5, shape)
        )
        for name, shape in shapes.items()
    }


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return values.astype(np.float16).astype(np.float32)


def logits(
    config: Mapping[str, Any], weights: Weights, tokens: Sequence[int]
) -> NDArray[np.float64]:
    """Logits of every position, (tokens, vocabulary)."""
    x = weights["model.embed_tokens.weight"][list(tokens)].astype(np.float64)
    epsilon = config["rms_norm_eps"]
    for n in range(config["num_hidden_layers"]):
        layer = {
            name.removeprefix(f"model.layers.{n}.").removesuffix(".weight"): value
            for name, value in weights.items()
            if name.startswith(f"model.layers.{n}.")
        }
        x = x + _attention(config, layer, _norm(x, layer["input_layernorm"], epsilon))
        h = _norm(x, layer["post_attention_layernorm"], epsilon)
        gate = h @ layer["mlp.gate_proj"].T
        up = h @ layer["mlp.up_proj"].T
        x = x + (gate / (1 + np.exp(-gate)) * up) @ layer["mlp.down_proj"].T
    result: NDArray[np.float64] = (
        _norm(x, weights["model.norm.weight"], epsilon) @ weights["lm_head.weight"].T
    )
    return result


def _norm(
    x: NDArray[np.float64], weight: NDArray[np.float32], epsilon: float
) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon)
    return scaled * weight


def _attention(
    config: Mapping[str, Any], layer: Weights, x: NDArray[np.float64]
) -> NDArray[np.float64]:
    heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
    q, k, v = (
        (x @ layer[f"self_attn.{name}_proj"].T).reshape(len(x), count, -1)
        for name, count in (("q", heads), ("k", groups), ("v", groups))
    )
    if "self_attn.q_norm" in layer:
        epsilon = config["rms_norm_eps"]
        q, k = (
            _norm(part, layer[f"self_attn.{name}_norm"], epsilon)
            for name, part in (("q", q), ("k", k))
        )
    q, k = (_rotated(part, config["rope_theta"]) for part in (q, k))
    k, v = (part.repeat(heads // groups, axis=1) for part in (k, v))
    scores = np.einsum("qhd,khd->hqk", q, k) / q.shape[-1] ** 0.5
    scores[:, np.triu(np.ones(scores.shape[1:], bool), 1)] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    mixed = np.einsum("hqk,khd->qhd", weights, v).reshape(len(x), -1)
    result: NDArray[np.float64] = mixed @ layer["self_attn.o_proj"].T
    return result


def _rotated(x: NDArray[np.float64], theta: float) -> NDArray[np.float64]:
    half = x.shape[-1] // 2
    angles = np.outer(np.arange(len(x)), theta ** (-np.arange(half) / half))[:, None]
    a, b = x[..., :half], x[..., half:]
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)
