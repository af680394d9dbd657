"""Rotary embedding by a model itself, whose layers do not rotate alike.

A cache rotates all of its layers in one way (`KVCacheSpec.rotary_dim`). The operator is
a placeholder, which ``compiler/passes/rotary.py`` gives each device's kernel.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from tvm import relax
from tvm.relax.frontend import nn

from mlcx.nn.placeholder import placeholder

__all__ = ["JOIN_ROTARY", "Rotary", "join_rotary"]

JOIN_ROTARY = "mlcx.join_rotary"


@dataclass(frozen=True)
class Rotary:
    """How the heads of a layer rotate, as a whole, their halves together."""

    theta: float
    scaling: dict[str, Any] | None
    """As in a Hugging Face config: ``rope_type`` and its parameters."""

    def to_json(self) -> str:
        """Return this as text; equal ones give equal text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Rotary:
        """Read what ``to_json`` wrote."""
        return cls(**json.loads(text))


def join_rotary(
    q: nn.Tensor, k: nn.Tensor, v: nn.Tensor, positions: nn.Tensor, rotary: Rotary
) -> nn.Tensor:
    """Return queries and keys, rotated, and values, side by side: (t, q + 2 kv, d).

    Args:
        q: (t, q, d).
        k: (t, kv, d).
        v: (t, kv, d).
        positions: (t,) int32.
        rotary: How.
    """
    tokens, queries, width = q.shape
    out = relax.TensorType((tokens, queries + 2 * k.shape[1], width), q.dtype)
    arguments = [q, k, v, positions]
    return placeholder(JOIN_ROTARY, arguments, out, "qkv", rotary.to_json())
