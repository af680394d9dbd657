"""What steps depend on besides files, as facts."""

from __future__ import annotations

import platform
from functools import cache

from mlcx.layers import closure
from mlcx.signature import machine
from mlcx.signature.facts import SOURCES, Fact
from mlcx.spec.devices import DEVICES
from mlcx.spec.digest import source_digests
from mlcx.toolchain.distributions import version_of
from mlcx.toolchain.needs import Lack, lacks, needs, versions
from mlcx.toolchain.triple import parse

__all__ = ["host", "installed", "sources", "toolchain", "tvm"]


_COMMON = ("__init__", "cli/model")
"""Of every verb: the version, which libraries hold, and what a path means to it."""


@cache
def sources(verbs: str, *packages: str, alone: tuple[str, ...] = ()) -> Fact:
    """Return the files of mlcx that decide what a verb makes, each with its digest.

    Args:
        verbs: The module of ``mlcx.cli`` that the verb is in.
        packages: What it calls; all that they import counts too.
        alone: Modules that it calls, ``spec/prefix``; what they import does not count.
    """
    own = frozenset({f"cli/{verbs}", *_COMMON, *alone})
    reached = own.union(*map(closure, packages))
    files = {name: value for each in reached for name, value in _files(each).items()}
    name = f"{SOURCES}mlcx.{'+'.join(packages)}"
    return Fact.of(name, sorted(files.items()))


@cache
def _files(package: str) -> dict[str, str]:
    """Return the digests of the files of one package: most verbs load the same few."""
    return source_digests((package,))


@cache
def installed(name: str, *distributions: str) -> Fact:
    """Return, as the fact ``name``, the versions of what decides bytes of a product."""
    return Fact.of(name, {each: version_of(each) or "none" for each in distributions})


def tvm() -> Fact:
    """Return the versions of TVM."""
    return installed("TVM", "apache-tvm", "apache-tvm-ffi")


@cache
def toolchain(
    device: str, host: str, suffix: str, archs: tuple[str, ...] = ()
) -> tuple[Fact, tuple[Lack, ...]]:
    """Return the tools, besides TVM, that make a library, and their versions.

    Args:
        device: A preset.
        host: As a spec names it.
        suffix: Of the library.
        archs: Of CUDA, that it is for; none: the preset's own.

    Returns:
        The fact, and what is missing.
    """
    preset = DEVICES[device]
    found = needs(preset.kind, parse(preset.host_for(host)), suffix, archs)
    return Fact.of("tools", versions(found)), lacks(device, found)


@cache
def host(with_cpu: bool) -> Fact:
    """Return what this machine is, and which CPU it has."""
    parts = {"architecture": platform.machine(), "system": machine.system()}
    cpu = {"cpu": machine.cpu()} if with_cpu else {}
    return Fact.of("host", {**parts, **cpu})
