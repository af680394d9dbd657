"""Options of compiling: what each means when neither a spec nor a command gives it."""

from __future__ import annotations

import os
import re
from typing import Any

from mlcx.errors import UsageError
from mlcx.spec.devices import Device
from mlcx.toolchain.cuda_archs import canonical
from mlcx.toolchain.triple import AUTO

__all__ = ["DEFAULTS", "archs_for", "host_for", "text_of"]

DEFAULTS: dict[str, Any] = {
    "bundle_weight": False,
    "float32": "bfloat16",
    "host": "auto",
    "mcpu": "auto",
    "opt": "O2",
    "reference": "q0f32",
    "tokens": 512,
}
"""What a key means when a spec does not give it. The schemas say the same."""

_CUDA = "cuda"
_MULTI_ARCH = "MLC_MULTI_ARCH"
_MACABI = "macabi"
_MACABI_ARCH = "MLC_MACABI_ARCH"
_MACABI_VERSION = "MLC_MACABI_DEPLOYMENT_TARGET"
_MACS = ("arm64", "x86_64")
_VERSION = re.compile(r"\d{1,4}(\.\d{1,4}){1,2}")


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


def host_for(device: Device, given: str) -> str:
    """Return the triple of the machine that runs a library, or ``auto``.

    Args:
        device: A preset; MLC's variables for Mac Catalyst are for ``macabi``.
        given: As a spec or a command names it, which goes before the variables.

    Raises:
        UsageError: A variable has a value that means nothing.
    """
    arch, version = (os.environ.get(name) for name in (_MACABI_ARCH, _MACABI_VERSION))
    if device.name != _MACABI or given != AUTO or not (arch or version):
        return given
    if arch and arch not in _MACS:
        known = " or ".join(_MACS)
        raise UsageError(f"{_MACABI_ARCH}: expected {known}, found {arch!r}")
    if version and not _VERSION.fullmatch(version):
        message = f"expected a version such as 18.0, found {version!r}"
        raise UsageError(f"{_MACABI_VERSION}: {message}")
    return f"{arch or _MACS[0]}-apple-ios{version or '18.0'}-macabi"


def text_of(value: object) -> str:
    """Return the value of an option or an override as a command line takes it.

    Raises:
        UsageError: It is a number that Python does not convert.
    """
    try:
        return str(value).lower() if isinstance(value, bool) else str(value)
    except ValueError as error:  # of thousands of digits
        raise UsageError("a number has too many digits") from error
