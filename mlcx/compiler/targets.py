"""The targets that a device's libraries are compiled for, as a table of presets."""

from __future__ import annotations

from collections.abc import Callable

from tvm.target import Target
from tvm.target.codegen import llvm_get_system_cpu, llvm_get_system_triple

from mlcx.errors import UsageError

__all__ = ["TARGETS", "target_of"]

_BASELINE = {"x86_64": "x86-64-v3"}
"""Architecture to the CPU assumed when a host is named and its CPU is not."""


def _cpu(host: str, mcpu: str) -> Target:
    triple = llvm_get_system_triple() if host == "auto" else host
    if mcpu == "auto":
        arch = triple.partition("-")[0]
        mcpu = llvm_get_system_cpu() if host == "auto" else _BASELINE.get(arch, "")
    config = {"kind": "llvm", "mtriple": triple, "mcpu": mcpu}
    return _parse({key: value for key, value in config.items() if value})


TARGETS: dict[str, Callable[[str, str], Target]] = {"cpu": _cpu}
"""Device preset to a function of the host's triple and CPU, each may be ``auto``."""


def target_of(device: str, host: str = "auto", mcpu: str = "auto") -> Target:
    """Return the target of ``device``, its host included.

    Raises:
        UsageError: The device, the host or the CPU is not known.
    """
    if device not in TARGETS:
        known = ", ".join(sorted(TARGETS))
        raise UsageError(f"unknown device {device!r}: expected one of {known}")
    target = TARGETS[device](host, mcpu)
    return Target(target, host=target)


def _parse(config: dict[str, str]) -> Target:
    try:
        return Target(config)
    except (ValueError, RuntimeError, TypeError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise UsageError(f"not a target that TVM knows: {config}: {reason}") from error
