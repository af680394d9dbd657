"""Versions of RWKV: names of weights, and logits and states in numpy, float64.

Formulas: Peng et al., "Eagle and Finch", arXiv:2404.05892.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .reference import Array, Weights, layer, layer_norm, linear, silu

Shapes = dict[str, tuple[int, ...]]


class Inputs(NamedTuple):
    """What attention is computed of; all are (tokens, h)."""

    receptance: Array
    key: Array
    value: Array
    gate: Array
    decay: Array
    """What a token leaves of a channel of the state, from 0 to 1."""


@dataclass(frozen=True)
class Version:
    """What a version has of its own.

    Args:
        attention: Config to the shapes of the attention's own parameters.
        feed_forward: Names of its own parameters, the key's and the gate's.
        inputs: (x, x of the token before, weights) to the attention's inputs, mixed.
        share: A parameter of the feed-forward to the share of the token itself.
    """

    attention: Callable[[Mapping[str, Any]], Shapes]
    feed_forward: tuple[str, str]
    inputs: Callable[[Array, Array, Weights], Inputs]
    share: Callable[[Array], Array]


def shapes(version: Version, config: Mapping[str, Any], inner: int) -> Shapes:
    """Return all tensors of a checkpoint."""
    h, n = config["hidden_size"], config["head_size"]
    table = (config["vocab_size"], h)
    found: Shapes = {"rwkv.embeddings.weight": table, "head.weight": table}
    norms = ["rwkv.ln_out", "rwkv.blocks.0.pre_ln"]
    for block in range(config["num_hidden_layers"]):
        prefix = f"rwkv.blocks.{block}."
        norms += [prefix + name for name in ("ln1", "ln2", "attention.ln_x")]
        attention, mlp = f"{prefix}attention.", f"{prefix}feed_forward."
        for part in ("receptance", "key", "value", "gate", "output"):
            found[f"{attention}{part}.weight"] = (h, h)
        for name, shape in version.attention(config).items():
            found[attention + name] = shape
        found |= {mlp + name: (1, 1, h) for name in version.feed_forward}
        found |= {
            f"{attention}time_faaaa": (h // n, n),
            f"{mlp}key.weight": (inner, h),
            f"{mlp}value.weight": (h, inner),
            f"{mlp}receptance.weight": (h, h),
        }
    for name in norms:
        found |= {f"{name}.weight": (h,), f"{name}.bias": (h,)}
    return found


def norm(x: Array, weights: Weights, name: str) -> Array:
    """Apply the layer norm ``name``."""
    return layer_norm(x, weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-5)


def before(x: Array) -> Array:
    """Return in each row the one of the token before it."""
    return np.concatenate([np.zeros_like(x[:1]), x[:-1]])


def attend(
    version: Version, x: Array, w: Weights, config: Mapping[str, Any]
) -> tuple[Array, Array]:
    """Return the outputs, and the heads' states after all tokens."""
    n = config["head_size"]
    mixed = version.inputs(x, before(x), w)
    r, k, v = (
        linear(getattr(mixed, name), w, name) for name in ("receptance", "key", "value")
    )
    r, k, v, kept = (each.reshape(len(x), -1, n) for each in (r, k, v, mixed.decay))
    state = np.zeros((r.shape[1], n, n))
    out = np.empty_like(r)
    for t in range(len(x)):
        new = k[t][:, :, None] * v[t][:, None]
        bonus = w["time_faaaa"][:, :, None] * new
        out[t] = np.einsum("hi,hij->hj", r[t], bonus + state)
        state = kept[t][:, :, None] * state + new
    epsilon = 1e-5 * config["head_size_divisor"] ** 2
    out = layer_norm(out, np.ones(n), np.zeros(n), epsilon).reshape(x.shape)
    out = out * w["ln_x.weight"] + w["ln_x.bias"]
    return linear(out * silu(linear(mixed.gate, w, "gate")), w, "output"), state


def feed_forward(version: Version, x: Array, w: Weights) -> Array:
    """Return the outputs."""
    shares = (version.share(w[name][0]) for name in version.feed_forward)
    key, gate = (x * share + before(x) * (1 - share) for share in shares)
    inner = linear(key, w, "key").clip(0) ** 2
    return linear(inner, w, "value") / (1 + np.exp(-linear(gate, w, "receptance")))


def run(
    version: Version,
    config: Mapping[str, Any],
    weights: Weights,
    tokens: Sequence[int],
) -> tuple[Array, list[list[Array]]]:
    """Return the logits of every position, and each layer's state after the last.

    What is halved now and then is halved here too: norms add an epsilon to it.
    """
    every = config["rescale_every"]
    body = layer(weights, "rwkv.")
    x = body["embeddings.weight"][list(tokens)].astype(np.float64)
    x = norm(x, body, "blocks.0.pre_ln")
    states = []
    for block in range(config["num_hidden_layers"]):
        w = layer(body, f"blocks.{block}.")
        share = 0.5 ** (block // every) if every else 1
        inner = norm(x, w, "ln1")
        out, heads = attend(version, inner, layer(w, "attention."), config)
        x = x + share * out
        outer = norm(x, w, "ln2")
        x = x + share * feed_forward(version, outer, layer(w, "feed_forward."))
        if every and (block + 1) % every == 0:
            x = x / 2
        states.append([inner[-1], heads, outer[-1]])
    return linear(norm(x, body, "ln_out"), weights, "head"), states
