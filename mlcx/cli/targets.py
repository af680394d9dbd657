"""Devices of which there is no preset, only a target as TVM takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlcx.spec.devices import Device
from mlcx.toolchain.triple import parse

if TYPE_CHECKING:
    from tvm.target import Target

__all__ = ["described", "host_of"]


def described(text: str, target: Target) -> Device:
    """Return the device that ``text`` describes, which TVM reads as ``target``."""
    kind = str(target.kind.name)
    return Device(text, parse(host_of(target)).suffixes[0], kind=kind)


def host_of(target: Target) -> str:
    """Return the triple of the machine that runs a library for ``target``."""
    return str(target.host.attrs["mtriple"])
