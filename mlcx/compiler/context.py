"""What all passes of a compilation know beside the module, and what a phase is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tvm.ir.transform import Pass
from tvm.target import Target

__all__ = ["Context", "Phase"]


@dataclass(frozen=True)
class Context:
    """All that passes read beside the module."""

    target: Target
    dtype: str
    """Of activations and cache."""
    hidden_size: int
    vocab_size: int
    active_vocab_size: int | None
    bounds: Mapping[str, int]
    metadata: Mapping[str, Any]
    cuda_graph: bool = False
    """Whether to capture what a step launches, to launch it as a whole afterwards."""


@dataclass(frozen=True)
class Phase:
    """Passes that belong together."""

    name: str
    passes: tuple[Pass, ...]
