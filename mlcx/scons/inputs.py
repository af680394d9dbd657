"""What a step depends on besides files, as text that changes when the input does."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from mlcx.layers import closure
from mlcx.spec.digest import describe_host, digest_json, digest_sources
from mlcx.toolchain.products import LINKERS

__all__ = ["host", "linker", "sources", "tvm"]


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
    return " ".join(f"{name} {_version(name)}" for name in names)


def _version(distribution: str) -> str:
    """Read the version off the name of the installed folder of metadata.

    importlib.metadata says the same, after loading a parser of mail for 30 ms.
    """
    name = distribution.replace("-", "_")
    for folder in map(Path, sys.path):
        for found in folder.glob(f"{name}-*.dist-info"):
            return found.name.removesuffix(".dist-info").removeprefix(f"{name}-")
    return "none"


@cache
def linker() -> str:
    """Name the linker and its version."""
    found = next(filter(None, map(shutil.which, LINKERS)), None)
    if found is None:
        return "linker none"
    shown = subprocess.run([found, "--version"], capture_output=True, check=False)
    return f"linker {shown.stdout.decode(errors='replace').partition(chr(10))[0]}"


@cache
def host(with_cpu: bool) -> str:
    """Name this machine's architecture, and what its CPU can do."""
    cpu = digest_json(describe_host()) if with_cpu else ""
    return f"host {platform.machine()} {cpu}"
