"""The devices that specs can name, as far as naming files and jobs needs them.

What they mean to the compiler, targets and kernels, is the compiler's table.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEVICES", "Device"]


@dataclass(frozen=True)
class Device:
    """One preset."""

    name: str
    suffix: str
    """Of its libraries, with the dot."""
    static: bool
    """Its libraries are linked into an app, so their symbols carry a prefix."""
    flags: frozenset[str] = frozenset()
    """Optimisation flags that its compiler looks at; the others change nothing."""


DEVICES: dict[str, Device] = {
    device.name: device for device in (Device("cpu", ".so", static=False),)
}
