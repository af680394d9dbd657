"""The targets that a device's libraries are compiled for, as a table of presets."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

import tvm
from tvm.target import Target
from tvm.target.codegen import (
    llvm_get_cpu_archlist,
    llvm_get_system_triple,
    target_has_features,
)

from mlcx.errors import BuildError, UsageError
from mlcx.machine import INSTRUCTION_SETS, own_cpu
from mlcx.toolchain.triple import AUTO, parse

__all__ = ["TARGETS", "check_code_generator", "required_features", "target_of"]

_BASELINE = {"x86_64": "x86-64-v3", "aarch64": "generic", "wasm32": "generic"}
"""Architecture of a host to the CPU assumed when the host is named and its CPU not."""

_WIDTHS = {"wasm32": {"vector-width": 128}}
"""Architecture to the bits of a vector, where LLVM does not know and TVM warns."""

_APPLE = {
    "kind": "metal",
    "max_threads_per_block": 256,
    "max_shared_memory_per_block": 32768,
    "thread_warp_size": 1,
}
_ADRENO = {"kind": "opencl", "device": "adreno", "max_threads_per_block": 512}
_VULKAN = {
    "kind": "vulkan",
    "max_threads_per_block": 256,
    "max_shared_memory_per_block": 32768,
    "thread_warp_size": 1,
    "supports_float16": True,
    "supports_int64": True,
    "supports_int16": True,
    "supports_int8": True,
    "supports_8bit_buffer": True,
    "supports_16bit_buffer": True,
    "supports_storage_buffer_storage_class": True,
}

TARGETS: dict[str, Mapping[str, Any] | None] = {
    "cpu": None,
    "cuda": {
        "kind": "cuda",
        "arch": "sm_80",
        "max_threads_per_block": 1024,
        "max_shared_memory_per_block": 49152,
    },
    # The wavefront of RDNA has 32 lanes; TVM's default is the 64 of CDNA.
    "rocm": {"kind": "rocm", "mcpu": "gfx1100", "thread_warp_size": 32},
    "vulkan": _VULKAN,
    "opencl": {"kind": "opencl"},
    "mali": {"kind": "opencl"},
    "metal": _APPLE,
    "metal:x86-64": _APPLE,
    "iphone": {**_APPLE, "libs": ["iphoneos"]},
    "macabi": {**_APPLE, "libs": ["macosx"]},
    "android": {"kind": "opencl"},
    "android:adreno": _ADRENO,
    "android:adreno-so": _ADRENO,
    "windows:adreno_x86": _ADRENO,
    "webgpu": {"kind": "webgpu"},
    "webgpu:subgroups": {"kind": "webgpu", "supports_subgroups": True},
}
"""Device preset to the attributes of its GPU, which are MLC's; None: it is the host."""


def target_of(device: str, host: str = AUTO, mcpu: str = AUTO) -> Target:
    """Return the target of ``device``, its host included.

    Args:
        device: A preset; or a target as TVM takes it, by tag or as JSON, the host of
            which counts if it names one.
        host: Triple of the machine that runs the library; ``auto``: this one's.
        mcpu: Its CPU; ``auto``: this machine's where neither a host is named nor a GPU
            does the work, else a baseline.

    Raises:
        UsageError: The device, the host or the CPU is not known.
    """
    gpu = TARGETS[device] if device in TARGETS else _given(device, host, mcpu)
    if gpu is None:
        target = _cpu(host, mcpu)
        return Target(target, host=target)
    if isinstance(gpu, Target):
        return gpu
    return Target(dict(gpu), host=_cpu(host, mcpu, works=False))


def check_code_generator(target: Target) -> None:
    """Refuse a target that this TVM generates no code for.

    Raises:
        BuildError: It does not.
    """
    kind = target.kind.name
    if tvm.get_global_func(f"target.build.{kind}", allow_missing=True) is None:
        raise BuildError(
            f"TVM {tvm.__version__} as installed has no code generator for {kind}: "
            "install one that was built with it"
        )


def required_features(target: Target) -> list[str]:
    """Return the instruction sets that ``target``'s host uses, of those in doubt."""
    host = target if target.host is None else target.host
    if not str(host.attrs["mtriple"]).startswith("x86_64"):
        return []
    return [name for name in INSTRUCTION_SETS if target_has_features(name, host)]


def _cpu(host: str, mcpu: str, works: bool = True) -> Target:
    """Return the target of a host, on whose speed something depends if it ``works``."""
    parsed = parse(host)
    triple = llvm_get_system_triple() if host == AUTO else host
    if mcpu == AUTO:
        own = host == AUTO and works
        mcpu = own_cpu() if own else _BASELINE[parsed.architecture]
    cpus = [str(name) for name in llvm_get_cpu_archlist(Target(_llvm(triple)))]
    if mcpu not in cpus:
        hint = _close(mcpu, cpus)
        raise UsageError(f"CPU {mcpu!r} is not one that LLVM knows for {triple}{hint}")
    return Target(
        {**_llvm(triple), "mcpu": mcpu, **_WIDTHS.get(parsed.architecture, {})}
    )


def _given(text: str, host: str, mcpu: str) -> Target:
    """Return the target that ``text`` describes, as TVM reads it."""
    try:
        target = Target(json.loads(text) if text.startswith("{") else text)
    except json.JSONDecodeError as error:
        message = f"device {text!r}: not JSON: {error.msg} in column {error.colno}"
        raise UsageError(message) from error
    except (ValueError, TypeError, tvm.error.InternalError) as error:
        if not text.startswith("{"):
            raise UsageError.unknown("device", text, TARGETS) from error
        reason = str(error).strip().splitlines()[-1]
        raise UsageError(f"device {text!r}: {reason}") from error
    # The host of a tag may name no machine, which is then as good as none.
    if target.host is not None and "mtriple" in target.host.attrs:
        return target
    if target.kind.name != "llvm":
        return Target(target, host=_cpu(host, mcpu, works=False))
    attributes = {"mtriple": llvm_get_system_triple(), **target.export()}
    # Where the text names no triple, TVM may have filled in this machine's.
    if host != AUTO and "mtriple" not in text:
        attributes["mtriple"] = host
    target = Target(attributes)
    return Target(target, host=target)


def _llvm(triple: str) -> dict[str, str]:
    return {"kind": "llvm", "mtriple": triple}


def _close(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
