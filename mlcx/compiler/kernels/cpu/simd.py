"""How wide this CPU's vectors are: the one machine fact that kernels are shaped by."""

from __future__ import annotations

from tvm.target import Target
from tvm.target.codegen import target_has_features

__all__ = ["float32_lanes", "has_vnni"]


def float32_lanes(target: Target) -> int:
    """Return how many float32 values one vector register of ``target`` holds."""
    if _has(target, "avx512f"):
        return 16
    return 8 if _has(target, "avx2") else 4


def has_vnni(target: Target) -> bool:
    """Say whether ``target`` multiplies int8 vectors with 512-bit VNNI."""
    return _has(target, "avx512vnni") and _has(target, "avx512bw")


def _has(target: Target, feature: str) -> bool:
    return bool(target_has_features(feature, target))
