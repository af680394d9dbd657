"""Checkpoints that are quantized already: which quantizations take them as they are.

What a checkpoint says of itself, in its config's ``quantization_config``, must be what
the quantization stores, or what that can be made of exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["KEY", "unsuited"]

KEY = "quantization_config"
"""Of a Hugging Face config."""


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


def unsuited(scheme: str, found: object) -> str:
    """Say why ``scheme`` cannot be made of a checkpoint, and what can; empty: it can.

    Args:
        scheme: Name of a scheme, or of a mixed one.
        found: What the checkpoint's config has for ``KEY``; None: nothing.
    """
    if found is not None and not isinstance(found, Mapping):
        return f"{KEY!r}: expected an object, found {found!r}"
    if not found:
        return _not_quantized(scheme)
    name = str(found.get("quant_method"))
    method = _METHODS.get(name)
    if method is None or scheme not in method.schemes:
        takes = f", or convert as {method.schemes[0]}" if method else ""
        return (
            f"these weights are quantized already, by {found.get('quant_method')!r}; "
            f"give the original checkpoint{takes}"
        )
    return _other_fields(scheme, name, found)


def _not_quantized(scheme: str) -> str:
    takes = [name for name, method in _METHODS.items() if scheme in method.schemes]
    if not takes:
        return ""
    return (
        f"{scheme} takes the weights of a quantized checkpoint ({', '.join(takes)}) as "
        f"they are; this one has no {KEY!r}: give another checkpoint, or choose "
        "another quantization"
    )


def _other_fields(scheme: str, name: str, found: Mapping[str, Any]) -> str:
    wrong = [
        f"{key!r}: expected {' or '.join(repr(v) for v in values if v is not None)}, "
        f"found {found.get(key)!r}"
        for key, values in _METHODS[name].wanted.items()
        if found.get(key) not in values
    ]
    made = f"{scheme} cannot store what {name} made here"
    return f"{made}: {'; '.join(wrong)}" if wrong else ""
