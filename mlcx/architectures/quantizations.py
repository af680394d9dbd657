"""Which quantizations the layers of an architecture can have, by their names.

The rules are MLC's, which refuses what its own layers cannot do; mistral is added where
llama is, since their layers are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType

__all__ = ["refusal"]

_AWQ = frozenset({"llama", "mistral"})
_PER_TENSOR = frozenset({"llama", "mistral", "mixtral", "olmo2"})
_BLOCK_SCALE = frozenset({"qwen3", "qwen3_moe"})
_STATIC_BLOCK_SCALE = frozenset({"qwen3"})
"""Each expert has scales of activations of its own: MLC names no place for them."""

_ONLY = {
    "q4f16_autoawq": _AWQ,
    "e5m2_e5m2_f16": _PER_TENSOR,
    "e4m3_e4m3_f16": _PER_TENSOR,
    "e4m3_e4m3_f16_max_calibrate": _PER_TENSOR,
    "fp8_e4m3fn_bf16_block_scale": _BLOCK_SCALE,
    "fp8_e4m3fn_bf16_block_scale_static_activation": _STATIC_BLOCK_SCALE,
}
"""Schemes to the architectures that take them; others are for all but those below."""

_NOT = {
    "q4f16_ft": frozenset({"gemma", "gemma2", "gemma3_text", "rwkv5", "rwkv6"}),
}
"""Schemes to the architectures that do not take them."""


def refusal(
    architecture: ModuleType, schemes: Iterable[str], known: Iterable[str]
) -> str:
    """Say which of ``schemes`` are not for ``architecture``; empty: all are.

    ``known`` are those to choose from instead.
    """
    name = architecture.__name__.rpartition(".")[2]
    wrong = [each for each in dict.fromkeys(schemes) if not _takes(name, each)]
    if not wrong:
        return ""
    rest = ", ".join(each for each in known if _takes(name, each))
    return f"{name} cannot be quantized as {' and '.join(wrong)}: choose one of {rest}"


def _takes(architecture: str, scheme: str) -> bool:
    if scheme in _ONLY:
        return architecture in _ONLY[scheme]
    return architecture not in _NOT.get(scheme, ())
