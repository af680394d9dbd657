"""Triples of LLVM: which machine a library is for, as far as linking must know."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import dataclass
from typing import Literal

from mlcx.errors import UsageError

__all__ = ["AUTO", "Format", "System", "Triple", "here", "parse"]

AUTO = "auto"
"""Stands for the triple of this machine."""

System = Literal["linux", "android", "macos", "ios", "macabi", "windows", "wasm"]
Format = Literal["elf", "macho", "coff", "wasm"]

_ARCHITECTURES = {
    "x86_64": "x86_64",
    "amd64": "x86_64",
    "aarch64": "aarch64",
    "arm64": "aarch64",
    "wasm32": "wasm32",
}
"""Names of an architecture to the one that is used here."""

_SYSTEMS: tuple[tuple[str, System], ...] = (
    ("android", "android"),
    ("linux", "linux"),
    ("macabi", "macabi"),
    ("ios", "ios"),
    ("macos", "macos"),
    ("darwin", "macos"),
    ("windows", "windows"),
)
"""What the rest of a triple contains to the system, the first one that fits."""

_FORMATS: dict[System, Format] = {
    "linux": "elf",
    "android": "elf",
    "macos": "macho",
    "ios": "macho",
    "macabi": "macho",
    "windows": "coff",
    "wasm": "wasm",
}

_SHARED: dict[System, str] = {
    "linux": ".so",
    "android": ".so",
    "macos": ".dylib",
    "windows": ".dll",
}


@dataclass(frozen=True)
class Triple:
    """A triple, taken apart."""

    text: str
    """As it was given; ``auto`` for this machine."""
    architecture: str
    """``x86_64``, ``aarch64`` or ``wasm32``."""
    system: System
    version: str = ""
    """Of the oldest system that is meant, such as ``11.0.0``; empty: not said."""

    @property
    def format(self) -> Format:
        """The format of objects."""
        return _FORMATS[self.system]

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The suffixes that a library may have, the usual one first."""
        if self.system == "wasm":
            return (".wasm",)
        shared = _SHARED.get(self.system)
        static = () if self.system == "windows" else (".tar", ".a")
        # Macs load a library by any name, and MLC's deliveries call theirs so.
        too = (".so",) if self.system == "macos" else ()
        return (shared, *too, *static) if shared else static

    @property
    def is_here(self) -> bool:
        """Whether this machine runs what is made for it."""
        own = here()
        return (self.architecture, self.system) == (own.architecture, own.system)


def here() -> Triple:
    """Return what this machine is."""
    systems: dict[str, System] = {"darwin": "macos", "win32": "windows"}
    machine = platform.machine().lower()
    system = systems.get(sys.platform, "linux")
    return Triple(AUTO, _ARCHITECTURES.get(machine, machine), system)


def parse(text: str) -> Triple:
    """Return the parts of the triple ``text``.

    Raises:
        UsageError: It has not the form of one, or no libraries are made for it.
    """
    if text == AUTO:
        return here()
    first, _, rest = text.partition("-")
    architecture = _ARCHITECTURES.get(first)
    if architecture is None or not rest:
        raise UsageError(f"host {text!r}: expected a triple such as {_EXAMPLES}")
    if architecture == "wasm32":
        return Triple(text, architecture, "wasm")
    for word, system in _SYSTEMS:
        # The others of Windows call functions that only their own runtime has.
        if word in rest and (system != "windows" or rest.endswith("msvc")):
            return Triple(text, architecture, system, _version(rest))
    raise UsageError(f"host {text!r}: expected a triple such as {_EXAMPLES}")


_EXAMPLES = (
    "x86_64-linux-gnu, aarch64-linux-gnu, aarch64-linux-android24, "
    "arm64-apple-macosx11.0.0 or x86_64-pc-windows-msvc"
)


def _version(rest: str) -> str:
    found = re.search(r"(?:android|ios|macosx?)(\d+(?:\.\d+)*)", rest)
    return found[1] if found else ""
