"""This machine as LLVM sees it, without loading LLVM: what ``auto`` compiles for.

LLVM names a CPU (``getHostCPUName`` in its TargetParser/Host.cpp), and by that name it
knows what the CPU can do. What decides the name is described here, and no more: what
else a kernel, a hypervisor or a new release of one says of a CPU changes no library.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path

__all__ = ["cpu", "system"]

_IDENTITY = frozenset(
    (
        *("vendor_id", "cpu family", "model"),  # of x86
        *("CPU implementer", "CPU variant", "CPU part", "Hardware"),  # of Arm
        "uarch",  # of RISC-V
    )
)
"""Fields of /proc/cpuinfo."""

_FLAGS = frozenset(
    (
        "sse sse2 pni ssse3 sse4_1 sse4_2 movbe avx f16c fma avx2 adx clflushopt "
        "sha_ni avx512f avx512bw avx512dq avx512vl avx512er avx512vbmi avx512_vbmi2 "
        "avx512_vnni avx512_bf16 avx512_vp2intersect"
    ).split()
)
"""Of x86: by these LLVM tells CPUs of one model apart, and guesses unknown ones."""

_SYSCTL = "/usr/sbin/sysctl"
_X86 = ("vendor", "family", "model", "stepping")
_MACS = {"x86_64": [f"machdep.cpu.{name}" for name in _X86]}
"""Architecture to what identifies the CPU of a Mac."""
_APPLE = ["hw.cpufamily"]
"""The same for Apple's own, as LLVM asks: the architecture has another name there."""


def cpu(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Describe this machine's CPU: machines that say the same compile the same."""
    if cpuinfo.is_file():
        found = _of_linux(cpuinfo)
    elif sys.platform == "darwin":
        found = _of_mac()
    else:
        found = [platform.processor()]  # on Windows: vendor, family, model, stepping
    # Of a CPU about which nothing is known, only this machine shares libraries.
    known = [each for each in found if each] or [platform.node()]
    return ", ".join([platform.machine(), *known])


def system() -> str:
    """Say for what system LLVM compiles.

    A Mac's triple, which its libraries hold, has the version of its kernel. Elsewhere
    all machines have the same one.
    """
    version = f" {platform.release()}" if sys.platform == "darwin" else ""
    return f"{sys.platform}{version}"


def _of_linux(cpuinfo: Path) -> list[str]:
    """Return what identifies the CPUs, in order: a machine of Arm may have several."""
    found: dict[str, None] = {}
    with cpuinfo.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            name, value = (part.strip() for part in line.partition(":")[::2])
            if name in _IDENTITY:
                found[f"{name} {value}"] = None
            if name == "flags":  # of x86, where all are alike
                return [*found, " ".join(sorted(_FLAGS.intersection(value.split())))]
    return list(found)


def _of_mac() -> list[str]:
    import subprocess  # noqa: PLC0415 (loading it takes milliseconds of every hit)

    words = [_SYSCTL, "-n", *_MACS.get(platform.machine(), _APPLE)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return done.stdout.split()
