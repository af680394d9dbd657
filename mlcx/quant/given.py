"""Checkpoints that are quantized already: which schemes take them as they are.

What a checkpoint says of itself, in its config's ``quantization_config``, must be what
the scheme stores, or what that can be made of exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from mlcx.errors import UsageError
from mlcx.quant.awq import AwqPacking, GptqPacking
from mlcx.quant.block_scale import BlockScaleScheme
from mlcx.quant.linear import LinearScheme
from mlcx.quant.packing import Scheme

__all__ = ["reading", "takes_quantized"]


class _Method(NamedTuple):
    """A way of quantizing checkpoints."""

    schemes: tuple[str, ...]
    wanted: dict[str, tuple[object, ...]]
    """Fields to the values they may have; None: they may be missing."""


_METHODS = {
    "awq": _Method(
        ("q4f16_autoawq",),
        {
            "bits": (4,),
            "group_size": (128,),
            "zero_point": (True,),
            "version": ("gemm", "GEMM"),
        },
    ),
    "gptq": _Method(
        ("q4f16_autoawq",),
        {
            "bits": (4,),
            "group_size": (128,),
            "desc_act": (False,),
            "checkpoint_format": ("gptq", None),
        },
    ),
    "fp8": _Method(
        (
            "fp8_e4m3fn_bf16_block_scale",
            "fp8_e4m3fn_bf16_block_scale_static_activation",
        ),
        {"fmt": ("e4m3", None)},
    ),
}


def reading(scheme: Scheme, found: object) -> Scheme:
    """Return ``scheme`` for a checkpoint whose ``quantization_config`` is ``found``.

    Raises:
        UsageError: It does not take such a checkpoint; says what would.
    """
    if found is not None and not isinstance(found, Mapping):
        raise UsageError(f"'quantization_config': expected an object, found {found!r}")
    if not found:
        if takes_quantized(scheme):
            known = ", ".join(m for m, each in _METHODS.items() if _is_of(scheme, each))
            raise UsageError(
                f"{scheme.name} takes the weights of a quantized checkpoint ({known}) "
                "as they are; this one has no 'quantization_config': give another "
                "checkpoint, or choose another quantization"
            )
        return scheme
    name = found.get("quant_method")
    method = _METHODS.get(str(name))
    if method is None or not _is_of(scheme, method):
        takes = f", or convert as {method.schemes[0]}" if method else ""
        raise UsageError(
            f"these weights are quantized already, by {name!r}; give the original "
            f"checkpoint{takes}"
        )
    _check(scheme, str(name), found)
    if name == "gptq" and isinstance(scheme, LinearScheme):
        return replace(scheme, linear=GptqPacking())
    return scheme


def takes_quantized(scheme: Scheme) -> bool:
    """Say whether ``scheme`` is for such checkpoints only."""
    if isinstance(scheme, LinearScheme):
        return isinstance(scheme.linear, AwqPacking)
    return isinstance(scheme, BlockScaleScheme)


def _is_of(scheme: Scheme, method: _Method) -> bool:
    return scheme.name in method.schemes


def _check(scheme: Scheme, name: str, found: Mapping[str, Any]) -> None:
    wrong = [
        f"{key!r}: expected {' or '.join(repr(v) for v in values if v is not None)}, "
        f"found {found.get(key)!r}"
        for key, values in _METHODS[name].wanted.items()
        if found.get(key) not in values
    ]
    if wrong:
        raise UsageError(
            f"{scheme.name} cannot store what {name} made here: {'; '.join(wrong)}"
        )
