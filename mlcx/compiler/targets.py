"""The targets that a device's libraries are compiled for, as a table of presets."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from tvm.target import Target
from tvm.target.codegen import (
    llvm_get_cpu_archlist,
    llvm_get_system_cpu,
    llvm_get_system_triple,
    target_has_features,
)

from mlcx.errors import UsageError

__all__ = ["TARGETS", "required_features", "target_of"]

_BASELINE = {"x86_64": "x86-64-v3", "aarch64": "generic", "arm64": "generic"}
"""Architecture of a host to the CPU assumed when the host is named and its CPU not."""

_FEATURES = (
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512bw",
    "avx512dq",
    "avx512vl",
)
"""Instruction sets that a machine may lack, under the name that its kernel uses too."""


def required_features(target: Target) -> list[str]:
    """Return the instruction sets that code for ``target`` uses, of those in doubt."""
    if not str(target.attrs["mtriple"]).startswith("x86_64"):
        return []
    return [name for name in _FEATURES if target_has_features(name, target)]


def _cpu(host: str, mcpu: str) -> Target:
    triple = llvm_get_system_triple() if host == "auto" else host
    architecture = triple.partition("-")[0]
    # LLVM crashes on the triple of an architecture that it does not have.
    if architecture not in _BASELINE or "-" not in triple:
        known = ", ".join(f"{name}-linux-gnu" for name in _BASELINE)
        raise UsageError(f"host {triple!r}: expected a triple such as {known}")
    if mcpu == "auto":
        mcpu = llvm_get_system_cpu() if host == "auto" else _BASELINE[architecture]
    cpus = [str(name) for name in llvm_get_cpu_archlist(Target(_llvm(triple)))]
    if mcpu not in cpus:
        hint = _close(mcpu, cpus)
        raise UsageError(f"CPU {mcpu!r} is not one that LLVM knows for {triple}{hint}")
    return Target({**_llvm(triple), "mcpu": mcpu})


def _llvm(triple: str) -> dict[str, str]:
    return {"kind": "llvm", "mtriple": triple}


def _close(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


TARGETS: dict[str, Callable[[str, str], Target]] = {"cpu": _cpu}
"""Device preset to a function of the host's triple and CPU, each may be ``auto``."""


def target_of(device: str, host: str = "auto", mcpu: str = "auto") -> Target:
    """Return the target of ``device``, its host included.

    Raises:
        UsageError: The device, the host or the CPU is not known.
    """
    if device not in TARGETS:
        raise UsageError.unknown("device", device, sorted(TARGETS))
    target = TARGETS[device](host, mcpu)
    return Target(target, host=target)
