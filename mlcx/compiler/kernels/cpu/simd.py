"""How wide this CPU's vectors are: the one machine fact that kernels are shaped by."""

from __future__ import annotations

from tvm.target import Target
from tvm.target.codegen import target_has_features

__all__ = ["float32_lanes"]


def float32_lanes(target: Target) -> int:
    """Return how many float32 values one vector register of ``target`` holds."""
    if target_has_features("avx512f", target):
        return 16
    return 8 if target_has_features("avx2", target) else 4
