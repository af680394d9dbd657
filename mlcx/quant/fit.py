"""Which scheme goes with which architecture, and what it asks of a model's config.

The rules are MLC's, which refuses what its own layers cannot do; mistral is added where
llama is, since their layers are the same.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from mlcx.errors import UsageError
from mlcx.quant.mixed import MixedScheme
from mlcx.quant.packing import ConfiguredScheme, Scheme
from mlcx.quant.scheme import SCHEMES

__all__ = ["fit"]

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


def fit(scheme: Scheme, architecture: ModuleType, config: Any) -> Scheme:
    """Return ``scheme`` for models of ``architecture`` with ``config``.

    Raises:
        UsageError: It is not for them.
    """
    parts = [scheme]
    if isinstance(scheme, MixedScheme):
        parts = [scheme.base, *(part for _, part in scheme.layers)]
    named = architecture.__name__.rpartition(".")[2]
    wrong = [part.name for part in parts if not _takes(named, part.name)]
    if wrong:
        known = [name for name in SCHEMES if _takes(named, name)]
        raise UsageError(
            f"{named} cannot be quantized as {' and '.join(wrong)}: choose one "
            f"of {', '.join(known)}"
        )
    return scheme.configured(config) if isinstance(scheme, ConfiguredScheme) else scheme


def _takes(architecture: str, name: str) -> bool:
    if name in _ONLY:
        return architecture in _ONLY[name]
    return architecture not in _NOT.get(name, ())
