"""NVIDIA's compiler as a library, NVRTC: from CUDA C++ to what GPUs run.

It comes in wheels, and needs neither a system's CUDA nor a GPU, a driver or a compiler
of C. Nothing that changes code is read from the environment. The functions are those of
NVRTC 13, called without `cuda-bindings`, which is 100 MB larger than what is used.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mlcx.errors import BuildError
from mlcx.toolchain import programs
from mlcx.toolchain.distributions import folder_of, version_of

__all__ = [
    "DISTRIBUTIONS",
    "REMEDY",
    "Image",
    "compile_source",
    "home",
    "require",
    "version",
]

DISTRIBUTIONS = (
    "nvidia-cuda-nvrtc",
    "nvidia-cuda-runtime",
    "nvidia-cuda-cccl",
    "nvidia-cuda-crt",
)
"""What it takes: the compiler, then the headers that kernels include."""

REMEDY = "pip install 'mlcx[cuda]'"

_HOME = "cu13"
_LIBRARIES = ("libnvrtc-builtins.so.13.0", "libnvrtc.so.13")
"""The second one opens the first by its name, which finds it once it is loaded."""

_OPTIONS = (
    # Functions without a qualifier are the device's.
    "-default-device",
    # As everywhere with TVM: approximate division, roots and exponentials.
    "--use_fast_math",
    # There is no math.h to have it from.
    "-DINFINITY=__int_as_float(0x7f800000)",
)

_LONGEST = 4000
"""Characters of the compiler's messages that are of use."""


@dataclass(frozen=True)
class Image:
    """Compiled code."""

    cubin: bytes
    """An ELF file with instructions of one architecture."""
    ptx: bytes
    """What a driver compiles for later architectures."""


def home() -> Path | None:
    """Return the folder with NVRTC and its headers; None: some of it is missing."""
    folder = folder_of("nvidia")
    if folder is None or any(version_of(name) is None for name in DISTRIBUTIONS):
        return None
    return folder / _HOME


def version() -> str | None:
    """Return the version of NVRTC; None: it is not installed."""
    return version_of(DISTRIBUTIONS[0])


def require() -> Path:
    """Return ``home``.

    Raises:
        BuildError: There is none.
    """
    folder = home()
    if folder is None:
        raise BuildError(f"compiling CUDA's kernels needs NVRTC: {REMEDY}")
    return folder


def compile_source(source: str, arch: str) -> Image:
    """Compile all kernels of ``source``.

    Args:
        source: CUDA C++.
        arch: ``sm_80``, ``sm_90a``, …

    Raises:
        BuildError: NVRTC is not installed, or refuses the source or the architecture.
    """
    folder = require()
    includes = [f"-I{folder / name}" for name in ("include", "include/cccl")]
    options = [f"--gpu-architecture={arch}", *_OPTIONS, *includes]
    program = ctypes.c_void_p()
    with programs.bare(), ExitStack() as cleanup:
        library = _library(folder)
        name = b"kernels.cu"
        text = source.encode()
        at = ctypes.byref(program)
        _check(library, library.nvrtcCreateProgram(at, text, name, 0, None, None))
        cleanup.callback(library.nvrtcDestroyProgram, at)
        words = (ctypes.c_char_p * len(options))(*map(str.encode, options))
        if status := library.nvrtcCompileProgram(program, len(options), words):
            said = _output(library, program, "ProgramLog").decode(errors="replace")
            raise BuildError(_failure(library, status, arch, said))
        cubin, ptx = (_output(library, program, kind) for kind in ("CUBIN", "PTX"))
    # The text ends in a zero, as a string of C.
    return Image(cubin, ptx.rstrip(b"\0"))


@cache
def _library(folder: Path) -> ctypes.CDLL:
    loaded = [ctypes.CDLL(str(folder / "lib" / name)) for name in _LIBRARIES]
    library = loaded[-1]
    library.nvrtcGetErrorString.restype = ctypes.c_char_p
    return library


def _output(library: ctypes.CDLL, program: ctypes.c_void_p, kind: str) -> bytes:
    """Return the ``kind`` of output that ``program`` has by now."""
    size = ctypes.c_size_t()
    measure: Callable[..., int] = library[f"nvrtcGet{kind}Size"]
    take: Callable[..., int] = library[f"nvrtcGet{kind}"]
    _check(library, measure(program, ctypes.byref(size)))
    buffer = ctypes.create_string_buffer(size.value)
    _check(library, take(program, buffer))
    return buffer.raw


def _check(library: ctypes.CDLL, status: int) -> None:
    if status:
        raise BuildError(f"NVRTC failed: {_named(library, status)}")


def _failure(library: ctypes.CDLL, status: int, arch: str, said: str) -> str:
    lines = said.splitlines()
    first = next((n for n, line in enumerate(lines) if "error:" in line), 0)
    shown = "\n".join(lines[first:])[:_LONGEST]
    return f"compiling for {arch} failed: {_named(library, status)}\n{shown}".rstrip()


def _named(library: ctypes.CDLL, status: int) -> str:
    name: bytes = library.nvrtcGetErrorString(status)
    return name.decode()
