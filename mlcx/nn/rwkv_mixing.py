"""Attention and feed-forward of RWKV, but for how they mix a token with the last one.

Formulas: Peng et al., "Eagle and Finch", arXiv:2404.05892, section 4. Below, s tokens
of one forward, b sequences, h hidden size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.nn.group_norm import GroupNorm
from mlcx.nn.recurrence import Wkv
from mlcx.nn.rwkv import Sizes

__all__ = ["Attention", "FeedForward", "Mixed", "vector"]

_LINEAR = ("receptance", "key", "value", "gate", "output")


def vector(parameter: nn.Tensor) -> nn.Tensor:
    """Return a parameter (1, 1, h) as (h,)."""
    return op.reshape(parameter, (parameter.shape[-1],))


class Mixed(NamedTuple):
    """What the attention's projections are applied to, each (s, h), and the decay."""

    receptance: nn.Tensor
    key: nn.Tensor
    value: nn.Tensor
    gate: nn.Tensor
    decay: nn.Tensor
    """As the version's recurrence takes it, float32."""


class Attention(nn.Module, ABC):
    """Linear attention; a version gives `mixed` and `attend`.

    Args:
        config: Sizes.
        decay: Shape of the parameter that channels of the state are kept by.
    """

    def __init__(self, config: Sizes, decay: tuple[int, ...]) -> None:
        hidden = config.hidden_size
        self.time_decay = nn.Parameter(decay)
        self.time_faaaa = nn.Parameter((config.num_heads, config.head_size))
        for name in _LINEAR:
            setattr(self, name, nn.Linear(hidden, hidden, bias=False))
        epsilon = 1e-5 * config.head_size_divisor**2
        self.ln_x = GroupNorm(config.num_heads, hidden, epsilon)

    def to(self, dtype: str | None = None) -> None:
        """Change the dtype of all but what the recurrence reads in float32."""
        super().to(dtype)
        for part in (self.time_decay, self.time_faaaa, self.ln_x):
            part.to("float32")

    @abstractmethod
    def mixed(self, x: nn.Tensor, shifted: nn.Tensor) -> Mixed:
        """Mix ``x`` (s, h) with itself, ``shifted`` by a token."""

    @abstractmethod
    def attend(
        self, x: Wkv, before: nn.Tensor, ends: nn.Tensor
    ) -> tuple[nn.Tensor, nn.Tensor]:
        """Return the outputs (s, h) and the states after them, both float32."""

    def forward(
        self, x: nn.Tensor, shifted: nn.Tensor, before: nn.Tensor, ends: nn.Tensor
    ) -> tuple[nn.Tensor, nn.Tensor]:
        """Map ``x`` (s, h) to (s, h), and ``before`` to the states after it."""
        mixed = self.mixed(x, shifted)
        inputs = Wkv(
            self.receptance(mixed.receptance),
            self.key(mixed.key),
            self.value(mixed.value),
            mixed.decay,
            self.time_faaaa,
        )
        out, after = self.attend(inputs, before, ends)
        out = self.ln_x(out).astype(x.dtype) * op.silu(self.gate(mixed.gate))
        return self.output(out), after


class FeedForward(nn.Module, ABC):
    """Feed-forward with a squared ReLU and a gate; a version gives `mixed`."""

    def __init__(self, config: Sizes) -> None:
        hidden, inner = config.hidden_size, config.intermediate_size
        self.key = nn.Linear(hidden, inner, bias=False)
        self.receptance = nn.Linear(hidden, hidden, bias=False)
        self.value = nn.Linear(inner, hidden, bias=False)

    @abstractmethod
    def mixed(self, x: nn.Tensor, shifted: nn.Tensor) -> tuple[nn.Tensor, nn.Tensor]:
        """Mix ``x`` (s, h) with itself, ``shifted`` by a token: key and gate's."""

    def forward(self, x: nn.Tensor, shifted: nn.Tensor) -> nn.Tensor:
        """Map ``x`` (s, h) to (s, h)."""
        key, gate = self.mixed(x, shifted)
        key = op.relu(self.key(key))
        gate = op.sigmoid(self.receptance(gate).astype("float32")).astype(x.dtype)
        return gate * self.value(key * key)
