"""Options of compiling: what each means when neither a spec nor a command gives it."""

from __future__ import annotations

import os
from typing import Any

from mlcx.errors import UsageError
from mlcx.spec.devices import Device
from mlcx.toolchain.cuda_archs import canonical

__all__ = ["DEFAULTS", "archs_for"]

DEFAULTS: dict[str, Any] = {
    "bundle_weight": False,
    "host": "auto",
    "mcpu": "auto",
    "opt": "O2",
    "reference": "q0f32",
    "tokens": 512,
}
"""What a key means when a spec does not give it. The schemas say the same."""

_CUDA = "cuda"
_MULTI_ARCH = "MLC_MULTI_ARCH"


def archs_for(device: Device, given: str | None) -> tuple[str, ...]:
    """Return the architectures of CUDA that a library is for; none: the device's own.

    Args:
        device: A preset; what ``MLC_MULTI_ARCH`` names is for the one called ``cuda``.
        given: As a spec or a command names them, which goes before the variable.

    Raises:
        UsageError: One of them is unknown, or the device has no such architectures.
    """
    if given is not None:
        if device.kind != _CUDA:
            message = f"archs are of CUDA, which {device.name} does not have"
            raise UsageError(f"{message}: remove them")
        return canonical(given)
    variable = os.environ.get(_MULTI_ARCH) if device.name == _CUDA else None
    if not variable:
        return ()
    try:
        return canonical(variable)
    except UsageError as error:
        raise UsageError(f"{_MULTI_ARCH}: {error}") from error
