"""How a block of attention is cut into vectors and registers on the CPU."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tvm.target import Target

from mlcx.compiler.kernels.attention_shape import Heads
from mlcx.compiler.kernels.cpu.simd import float32_lanes

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    """How a block is cut into vectors and registers."""

    heads: Heads
    tokens: int
    rows: int
    """Lanes: ``tokens * group``, rounded up to whole vectors."""
    lanes: int
    """Of a vector over rows."""
    width: int
    """Of a vector over dimensions."""
    registers: int
    """Accumulators that a tile of a product may take."""

    @classmethod
    def of(cls, target: Target, heads: Heads, tokens: int) -> Plan:
        """Plan blocks of at most ``tokens`` tokens."""
        native = float32_lanes(target)
        wanted = tokens * heads.group
        lanes = min(native, 1 << (wanted - 1).bit_length())
        rows = -(-wanted // lanes) * lanes
        width = math.gcd(heads.head_dim, native)
        return cls(heads, tokens, rows, lanes, width, 16 if native == 16 else 8)
