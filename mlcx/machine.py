"""Which CPUs' code runs on this machine, by LLVM's names.

LLVM names a CPU by its model. A hypervisor may hide instructions that the model has,
and some were sold without: what is compiled for the name ends there by an illegal one.
"""

from __future__ import annotations

from collections.abc import Mapping

import tvm_ffi
from tvm.target import Target
from tvm.target.codegen import (
    llvm_get_system_cpu,
    llvm_get_system_triple,
    target_has_features,
)

__all__ = ["INSTRUCTION_SETS", "own_cpu", "runs_code_for"]

INSTRUCTION_SETS = (
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512bw",
    "avx512dq",
    "avx512vl",
)
"""Those that an x86 machine may lack, under the name that Linux uses too.

``signature.machine`` has them all among what tells machines apart.
"""

_LEVELS = ("x86-64-v4", "x86-64-v3", "x86-64-v2")
"""What CPUs have in common, the most first."""


def own_cpu() -> str:
    """Return this machine's CPU, or the most in common with others that it has."""
    named = llvm_get_system_cpu()
    return next((cpu for cpu in (named, *_LEVELS) if runs_code_for(cpu)), named)


def runs_code_for(cpu: str) -> bool:
    """Say whether this machine, if it is x86, has the instruction sets of ``cpu``."""
    triple = llvm_get_system_triple()
    if not triple.startswith("x86_64"):
        return True
    target = Target({"kind": "llvm", "mtriple": triple, "mcpu": cpu})
    here = _here()
    lacks = [name for name in INSTRUCTION_SETS if not here.get(name, True)]
    return not any(target_has_features(name, target) for name in lacks)


def _here() -> Mapping[str, bool]:
    """Return what this machine says that it has; empty: this TVM cannot ask."""
    name = "tvm.codegen.llvm.GetHostCPUFeatures"
    ask = tvm_ffi.get_global_func(name, allow_missing=True)
    found = {} if ask is None else ask()
    return {str(key): bool(value) for key, value in found.items()}
