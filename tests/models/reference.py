"""The parts of a decoder in numpy, float64, for a whole text at once.

Written from the descriptions of the architectures, as transformers computes them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = Mapping[str, NDArray[np.float32]]

_erf = np.vectorize(math.erf)


def rms_norm(x: Array, weight: Array, epsilon: float) -> Array:
    """Scale rows to a mean square of 1, then by ``weight``."""
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * weight


def layer_norm(x: Array, weight: Array, bias: Array, epsilon: float) -> Array:
    """Move and scale rows to a mean of 0 and a variance of 1, then as learnt."""
    variance = x.var(-1, keepdims=True)
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(variance + epsilon) * weight + bias


def silu(x: Array) -> Array:
    """Return ``x * sigmoid(x)``."""
    return x / (1 + np.exp(-x))


def gelu(x: Array) -> Array:
    """Return ``x`` times the normal distribution's integral up to it."""
    return x / 2 * (1 + _erf(x / math.sqrt(2)))


def gelu_tanh(x: Array) -> Array:
    """Return the approximation of `gelu` that most checkpoints are trained with."""
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def rotated(x: Array, theta: float, dims: int, positions: Array) -> Array:
    """Rotate the first ``dims`` of each head of ``x`` (tokens, heads, width)."""
    half = dims // 2
    angles = np.outer(positions, theta ** (-np.arange(half) / half))[:, None]
    a, b, rest = np.split(x, [half, dims], axis=-1)
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin, rest], -1)


def attention(
    q: Array,
    k: Array,
    v: Array,
    *,
    width: int,
    theta: float,
    dims: int | None = None,
    window: int | None = None,
    seen: NDArray[np.bool_] | None = None,
) -> Array:
    """Attend causally, to the last ``window`` tokens and of them to those ``seen``.

    All are (tokens, heads * width); query heads share key heads. ``dims`` of each head
    are rotated, by default all.
    """
    q, k, v = (part.reshape(len(part), -1, width) for part in (q, k, v))
    at = np.arange(len(q))
    q, k = (rotated(part, theta, dims or width, at) for part in (q, k))
    k, v = (part.repeat(q.shape[1] // part.shape[1], axis=1) for part in (k, v))
    scores = np.einsum("qhd,khd->hqk", q, k) / width**0.5
    distance = at[:, None] - at
    hidden = (distance < 0) | (distance >= (window or len(q)))
    if seen is not None:
        hidden |= ~seen & (distance > 0)
    scores[:, hidden] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return np.einsum("hqk,khd->qhd", weights, v).reshape(len(q), -1)


def layer(weights: Weights, prefix: str) -> Weights:
    """Return the weights below ``prefix``, without it."""
    return {
        name.removeprefix(prefix): value
        for name, value in weights.items()
        if name.startswith(prefix)
    }


def linear(x: Array, weights: Weights, name: str) -> Array:
    """Apply the linear layer ``name``, with its bias if it has one."""
    y = x @ weights[f"{name}.weight"].T
    return y + weights[f"{name}.bias"] if f"{name}.bias" in weights else y
