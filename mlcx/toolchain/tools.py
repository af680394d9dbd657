"""The tools that devices need, as a table: what for, where they are, the remedy."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mlcx.toolchain import emscripten, fatbinary, nvrtc, programs, rocm, sysroot, zig
from mlcx.toolchain.distributions import folder_of, version_of
from mlcx.toolchain.products import native_linker

__all__ = ["TOOLS", "TVM", "Found", "Tool"]

TVM = {"apache-tvm": "0.27.0.post1", "apache-tvm-ffi": "0.1.14.post1"}
"""The two distributions of TVM; other versions of the one do not fit the other."""


@dataclass(frozen=True)
class Found:
    """A tool that is there."""

    version: str
    path: str


@dataclass(frozen=True)
class Tool:
    """A tool, whether it is there or not."""

    name: str
    purpose: str
    """What it does for a build."""
    remedy: str
    """The command that installs it, or what else to do."""
    find: Callable[[], Found | None]
    part_of: str = ""
    """Tool that brings it along, mostly."""


def _tvm() -> Found | None:
    folder = folder_of("tvm")
    if folder is None or any(version_of(name) != own for name, own in TVM.items()):
        return None
    names = (f"{name} {version}" for name, version in TVM.items())
    return Found(", ".join(names), str(folder))


def _linker() -> Found | None:
    path = native_linker()
    return Found(_says(path), path) if path else _zig()


def _zig() -> Found | None:
    path = zig.program()
    return Found(f"ziglang {zig.version()}", str(path)) if path else None


def _nvrtc() -> Found | None:
    folder, version = nvrtc.home(), nvrtc.version()
    return Found(f"{nvrtc.DISTRIBUTIONS[0]} {version}", str(folder)) if folder else None


def _fatbinary() -> Found | None:
    path, version = fatbinary.program(), fatbinary.version()
    return Found(f"{fatbinary.DISTRIBUTION} {version}", str(path)) if path else None


def _emscripten() -> Found | None:
    path, version = emscripten.program(), emscripten.version()
    return Found(f"emscripten {version}", path) if path and version else None


def _sysroot() -> Found | None:
    folder, version = sysroot.folder(), emscripten.version()
    return Found(f"emscripten {version}", str(folder)) if folder and version else None


def _rocm() -> Found | None:
    folder = rocm.folder()
    return Found(rocm.version(folder), str(folder)) if folder else None


def _vulkan() -> Found | None:
    """Look for the code generator's name in the compiler, which is not loaded."""
    folder = folder_of("tvm")
    for library in sorted((folder / "lib").glob("*tvm_compiler*")) if folder else ():
        with (
            library.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            if content.find(b"target.build.vulkan") >= 0:
                return Found(f"apache-tvm {version_of('apache-tvm')}", str(library))
    return None


@cache
def _says(program: str) -> str:
    """Return what ``program`` is, and what it links with if it is a compiler."""
    own = programs.says(program, "--version")
    if Path(program).name == "ld":
        return own
    return f"{own} with {programs.says(program, '-Wl,--version')}"


_PAIR = " ".join(f"{name}=={version}" for name, version in TVM.items())

TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool("tvm", "generates code", f"pip install {_PAIR}", _tvm),
        Tool(
            "linker",
            "links for this machine",
            "apt-get install binutils, or pip install 'mlcx[cross]'",
            _linker,
        ),
        Tool("zig", "links and archives", "pip install 'mlcx[cross]'", _zig),
        Tool("nvrtc", "compiles CUDA's kernels", nvrtc.REMEDY, _nvrtc),
        Tool(
            "fatbinary",
            "binds kernels for several architectures",
            fatbinary.REMEDY,
            _fatbinary,
        ),
        Tool(
            "emscripten",
            "compiles the runtime of the web",
            emscripten.REMEDY,
            _emscripten,
        ),
        Tool(
            "emscripten sysroot",
            "holds the C++ library of the web",
            sysroot.REMEDY,
            _sysroot,
            part_of="emscripten",
        ),
        Tool(
            "rocm-device-libs",
            "holds the functions of AMD's GPUs",
            rocm.REMEDY,
            _rocm,
        ),
        Tool(
            "vulkan code generator",
            "compiles Vulkan's kernels",
            "install a TVM that was built with USE_VULKAN=ON: the one on PyPI is not",
            _vulkan,
        ),
    )
}
"""Name to tool, in the order of reports."""
