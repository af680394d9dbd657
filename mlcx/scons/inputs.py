"""What a step depends on besides files, as text that changes when the input does."""

from __future__ import annotations

import platform
from functools import cache

from mlcx.layers import closure
from mlcx.spec.devices import DEVICES
from mlcx.spec.digest import describe_host, digest_json, digest_sources
from mlcx.toolchain.distributions import version_of
from mlcx.toolchain.needs import needs, refusal, signature
from mlcx.toolchain.triple import parse

__all__ = ["host", "sources", "toolchain", "tvm"]


@cache
def sources(verbs: str, *packages: str) -> str:
    """Name what a verb loads, by digest.

    Args:
        verbs: The module of ``mlcx.cli`` that the verb is in.
        packages: What it calls; all that they import counts too.
    """
    reached = frozenset({f"cli/{verbs}"}).union(*map(closure, packages))
    return f"sources of mlcx.{'+'.join(packages)} {digest_sources(reached)}"


@cache
def tvm() -> str:
    """Name the versions of TVM."""
    names = ("apache-tvm", "apache-tvm-ffi")
    return " ".join(f"{name} {version_of(name) or 'none'}" for name in names)


@cache
def toolchain(
    device: str, host: str, suffix: str, archs: tuple[str, ...] = ()
) -> tuple[str, str]:
    """Name the tools, besides TVM, that make a library, and their versions.

    Args:
        device: A preset.
        host: As a spec names it.
        suffix: Of the library.
        archs: Of CUDA, that it is for; none: the preset's own.

    Returns:
        The fact, and what is missing with its remedy; empty: nothing is.
    """
    preset = DEVICES[device]
    found = needs(preset.kind, parse(preset.host_for(host)), suffix, archs)
    return f"tools {signature(found)}", refusal(device, found)


@cache
def host(with_cpu: bool) -> str:
    """Name this machine's architecture, and what its CPU can do."""
    cpu = digest_json(describe_host()) if with_cpu else ""
    return f"host {platform.machine()} {cpu}"
