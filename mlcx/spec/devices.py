"""The devices that specs can name, as far as naming files and jobs needs them.

What they mean to the compiler, targets and kernels, is the compiler's table.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlcx.errors import UsageError
from mlcx.toolchain.triple import AUTO, parse

__all__ = ["ALIASES", "DEVICES", "Device", "device_of"]

_ADRENO_PC = "x86_64-pc-windows-msvc"
_ANDROID = "aarch64-linux-android24"
_CATALYST = "arm64-apple-ios18.0-macabi"
_INTEL_MAC = "x86_64-apple-macosx11.0.0"
_IPHONE = "arm64-apple-ios14.0"
_MAC = "arm64-apple-macosx11.0.0"
_MALI = "aarch64-linux-gnu"
_WEB = "wasm32-unknown-unknown-wasm"


@dataclass(frozen=True)
class Device:
    """One preset."""

    name: str
    suffix: str
    """Of its libraries, with the dot, when no host is named."""
    static: bool = False
    """Its libraries are linked into an app, so their symbols carry a prefix."""
    kind: str = "llvm"
    """Of its target, as TVM calls it."""
    host: str = AUTO
    """Triple of the machine that runs it; another one must be of the same system."""
    delivered: str = ""
    """Suffix of its libraries in a delivery, where MLC's is not the usual one."""
    flags: frozenset[str] = frozenset()
    """Optimisation flags that its compiler looks at; the others change nothing."""

    def host_for(self, given: str) -> str:
        """Return the triple of the host, which ``given`` names unless it is ``auto``.

        Raises:
            UsageError: ``given`` is no triple, or one of another system.
        """
        if given == AUTO:
            return self.host
        system = parse(given).system
        if self.host != AUTO and system != parse(self.host).system:
            message = f"{self.name} runs on a host like {self.host}, found {given!r}"
            raise UsageError(message)
        return given

    def suffixes(self, given: str) -> tuple[str, ...]:
        """Return what its libraries on the host ``given`` may end in, the usual first.

        Raises:
            UsageError: As ``host_for``.
        """
        host = self.host_for(given)
        if self.static:
            return (self.suffix, ".a")
        found = parse(host).suffixes
        if self.host != AUTO:
            known = (self.suffix, ".tar", ".a")
            return (self.suffix, *(each for each in found if each not in known))
        # A plan says the same on all machines that can make what it says.
        plain = (self.suffix,) if host == AUTO and self.suffix in found else ()
        return (*plain, *(each for each in found if each not in plain))

    def delivered_suffix(self, given: str) -> str:
        """Return what its libraries on the host ``given`` end in, in a delivery.

        Raises:
            UsageError: As ``host_for``.
        """
        usual = self.suffixes(given)[0]
        return self.delivered or usual


DEVICES: dict[str, Device] = {
    device.name: device
    for device in (
        Device("cpu", ".so"),
        Device("cuda", ".so", kind="cuda", flags=frozenset({"cudagraph"})),
        Device("rocm", ".so", kind="rocm"),
        Device("vulkan", ".so", kind="vulkan"),
        Device("opencl", ".so", kind="opencl"),
        Device("mali", ".so", kind="opencl", host=_MALI),
        Device("metal", ".dylib", kind="metal", host=_MAC, delivered=".so"),
        Device("metal:x86-64", ".dylib", kind="metal", host=_INTEL_MAC),
        Device("iphone", ".tar", static=True, kind="metal", host=_IPHONE),
        Device("macabi", ".tar", static=True, kind="metal", host=_CATALYST),
        Device("android", ".tar", static=True, kind="opencl", host=_ANDROID),
        Device("android:adreno", ".tar", static=True, kind="opencl", host=_ANDROID),
        Device("android:adreno-so", ".so", kind="opencl", host=_ANDROID),
        Device("windows:adreno_x86", ".dll", kind="opencl", host=_ADRENO_PC),
        Device("webgpu", ".wasm", kind="webgpu", host=_WEB),
        Device("webgpu:subgroups", ".wasm", kind="webgpu", host=_WEB),
    )
}

ALIASES = {"ios": "iphone"}
"""What MLC's deliveries call devices besides; the names of their files too."""


def device_of(name: str) -> Device:
    """Return the device that a spec means by ``name``, which is one or an alias."""
    return DEVICES[ALIASES.get(name, name)]
