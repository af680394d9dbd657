"""Attention and rotary embedding in float64, written from their definitions."""

from collections.abc import Sequence

import numpy as np


def attention(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    seen: np.ndarray,
    scale: float,
    softcap: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (rows, heads, d) and base-2 log-sum-exp of one sequence.

    ``q`` is (rows, heads, d), ``k`` and ``v`` (columns, key heads, d), ``seen`` is
    (rows, columns). A row that sees nothing gets zeros. Scores stay below ``softcap``.
    """
    group = q.shape[1] // k.shape[1]
    q, k, v = (x.astype("float64") for x in (q, k, v))
    k, v = (np.repeat(x, group, axis=1) for x in (k, v))
    scores = np.einsum("rhd,chd->hrc", q, k) * scale
    if softcap is not None:
        scores = softcap * np.tanh(scores / softcap)
    weights = np.where(seen, np.exp(scores), 0)
    total = weights.sum(-1, keepdims=True)
    out = np.einsum("hrc,chd->rhd", weights / np.where(total, total, 1), v)
    with np.errstate(divide="ignore"):
        return out, np.log2(total[..., 0]).T


def causal(rows: int, columns: int) -> np.ndarray:
    """Return which columns the last ``rows`` of ``columns`` tokens see."""
    return np.arange(columns) <= np.arange(columns - rows, columns)[:, None]


def rotated(
    x: np.ndarray,
    positions: Sequence[int],
    frequencies: np.ndarray,
    *,
    interleaved: bool = False,
    amplitude: float = 1.0,
) -> np.ndarray:
    """Rotate (tokens, heads, d) as Hugging Face's ``apply_rotary_pos_emb``.

    Interleaved, neighbours are the real and the imaginary part of what turns. What
    turns is multiplied by ``amplitude``.
    """
    angles = np.outer(positions, frequencies)
    cos, sin = np.cos(np.tile(angles, 2)), np.sin(np.tile(angles, 2))
    turning, rest = np.split(x.astype("float64"), [2 * len(frequencies)], axis=-1)
    turning = amplitude * turning
    if interleaved:
        numbers = turning[..., ::2] + 1j * turning[..., 1::2]
        numbers = numbers * np.exp(1j * angles)[:, None]
        turned = np.stack([numbers.real, numbers.imag], -1).reshape(turning.shape)
        return np.concatenate([turned, rest], axis=-1)
    first, second = np.split(turning, 2, axis=-1)
    swapped = np.concatenate([-second, first], axis=-1)
    turned = turning * cos[:, None] + swapped * sin[:, None]
    return np.concatenate([turned, rest], axis=-1)
