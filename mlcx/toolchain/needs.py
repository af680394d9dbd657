"""Which tools a library needs, and whether they are there, before any work begins."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from mlcx.errors import BuildError
from mlcx.toolchain.tools import TOOLS, Found, Tool
from mlcx.toolchain.triple import Triple

__all__ = [
    "WEB_RUNTIME",
    "Lack",
    "Need",
    "lacks",
    "missing",
    "needs",
    "refusal",
    "report",
    "require",
    "require_tools",
    "versions",
]

WEB_RUNTIME = ("tvm", "zig", "emscripten", "emscripten sysroot")
"""What the runtime takes that a library for the web holds."""

_OF_KIND = {
    "cuda": ("nvrtc",),
    "rocm": ("rocm-device-libs", "zig"),
    "vulkan": ("vulkan code generator",),
}
"""Kind of a target to what its kernels need."""


@dataclass(frozen=True)
class Need:
    """A tool that a library needs, and what there is of it."""

    tool: Tool
    found: Found | None


class Lack(NamedTuple):
    """A tool that is missing."""

    device: str
    """For which it is, or what else needs it."""
    tool: Tool


def needs(
    kind: str, triple: Triple, suffix: str, archs: Collection[str] = ()
) -> tuple[Need, ...]:
    """Return what it takes to make a library.

    Args:
        kind: Of its target, as TVM calls it.
        triple: What runs it.
        suffix: Of the file to make.
        archs: Of CUDA, that it is for; none: one.
    """
    binding = ("fatbinary",) if len(archs) > 1 else ()
    names = {"tvm", *_linking(triple, suffix), *_OF_KIND.get(kind, ()), *binding}
    return _named(names)


def _linking(triple: Triple, suffix: str) -> tuple[str, ...]:
    if suffix == ".tar":
        return ()
    if triple.system == "wasm":
        return WEB_RUNTIME
    native = suffix == ".so" and triple.is_here and triple.system == "linux"
    return ("linker",) if native else ("zig",)


def missing(found: Iterable[Need]) -> list[Tool]:
    """Return the tools that are missing, but those that come with another of them."""
    tools = {need.tool.name: need.tool for need in found if need.found is None}
    return [tool for tool in tools.values() if tool.part_of not in tools]


def lacks(device: str, found: Iterable[Need]) -> tuple[Lack, ...]:
    """Return what of ``found`` is missing for ``device``."""
    return tuple(Lack(device, tool) for tool in missing(found))


def refusal(device: str, found: Iterable[Need]) -> str:
    """Say what of ``found`` is missing for ``device``, and the remedy; "": nothing."""
    return report(lacks(device, found))


def report(found: Iterable[Lack]) -> str:
    """Return ``found`` as one message: each tool once, with its remedy; "": none."""
    users: dict[Tool, list[str]] = {}
    for device, tool in dict.fromkeys(found):
        users.setdefault(tool, []).append(device)
    if len(users) > 1:
        lines = (
            f"{tool.name}, which {tool.purpose}, for {', '.join(devices)}: "
            f"{tool.remedy}"
            for tool, devices in users.items()
        )
        return "\n  ".join(["tools are missing:", *lines])
    for tool, devices in users.items():
        need = f"{', '.join(devices)} {'need' if devices[1:] else 'needs'}"
        what = f"{tool.name}, which {tool.purpose} and is missing"
        return f"{need} {what}: {tool.remedy}"
    return ""


def require(
    device: str, kind: str, triple: Triple, suffix: str, archs: Collection[str] = ()
) -> None:
    """Refuse to make a library for which a tool is missing.

    Raises:
        BuildError: One is; names each, and the remedy.
    """
    message = refusal(device, needs(kind, triple, suffix, archs))
    if message:
        raise BuildError(message)


def require_tools(what: str, names: Collection[str]) -> None:
    """Refuse to do ``what`` where one of the tools ``names`` is missing.

    Raises:
        BuildError: One is; names each, and the remedy.
    """
    message = refusal(what, _named(names))
    if message:
        raise BuildError(message)


def _named(names: Collection[str]) -> tuple[Need, ...]:
    return tuple(
        Need(tool, tool.find()) for name, tool in TOOLS.items() if name in names
    )


def versions(found: Iterable[Need]) -> dict[str, str]:
    """Return the version of each tool, ``none`` without one; TVM is left out."""
    return {
        need.tool.name: need.found.version if need.found else "none"
        for need in found
        if need.tool.name != "tvm"
    }
