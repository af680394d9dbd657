"""Exchange the source of kernels, which TVM packs into a library, for compiled code.

What a library imports is one block: its size, the tree of modules as two vectors, and
for each module its kind and, with its size in front, its content. CUDA's content is the
format of the code, a table of kernels and the code; the first and the last change.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tvm import runtime
from tvm.target import Target

from mlcx.compiler.cuda.archs import archs_of
from mlcx.compiler.imports import Change, only
from mlcx.errors import BuildError
from mlcx.library.stream import Stream, packed, sized
from mlcx.toolchain import fatbinary, nvrtc
from mlcx.toolchain.cuda_archs import forward

__all__ = ["check_compiler", "check_hold_no_source", "compiling", "source_only"]

_KIND = "cuda"
_HOST = "_lib"
"""Stands, without content, for the host's code, which is in objects of its own."""

_FORCE = "TVM_COMPILE_FORCE_FALLBACK"
_MARK = b'extern "C" __global__ void'


@contextmanager
def source_only() -> Iterator[None]:
    """Let TVM leave kernels as source meanwhile, also where it finds a driver."""
    before = os.environ.get(_FORCE)
    os.environ[_FORCE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_FORCE]
        else:
            os.environ[_FORCE] = before


def check_compiler(target: Target) -> None:
    """Refuse a CUDA ``target`` whose kernels cannot be compiled here.

    Raises:
        BuildError: What it takes is not installed.
        UsageError: One of the architectures is none that there is a compiler for.
    """
    archs = archs_of(target)
    if archs:
        nvrtc.require()
    if len(archs) > 1:
        fatbinary.require()


def compiling(target: Target) -> Change:
    """Return what compiles the kernels of imports for a CUDA ``target``.

    It raises BuildError where the compiler is missing or refuses a kernel.

    Raises:
        UsageError: One of the architectures is none that there is a compiler for.
    """
    archs = archs_of(target)

    def change(module: runtime.Module, block: bytes) -> bytes:
        source = only(module, _KIND).inspect_source("")
        form, code = _compiled(source, archs)
        return _exchanged(block, source, form, code)

    return change


def check_hold_no_source(objects: Iterable[Path]) -> None:
    """Refuse objects with source of CUDA kernels, which no engine loads.

    Raises:
        BuildError: There is some in one of them.
    """
    for path in objects:
        if _MARK in path.read_bytes():
            raise BuildError(f"TVM left CUDA's kernels as source in {path.name}")


def _compiled(source: str, archs: tuple[str, ...]) -> tuple[str, bytes]:
    """Return the format and the code of ``source`` for all ``archs``."""
    images = {arch: nvrtc.compile_source(source, arch) for arch in archs}
    if len(images) == 1:
        return "cubin", images[archs[0]].cubin
    cubins = {arch: image.cubin for arch, image in images.items()}
    latest = forward(archs)
    ptx = {} if latest is None else {latest: images[latest].ptx}
    return "fatbin", fatbinary.bind(cubins, ptx)


def _exchanged(block: bytes, source: str, form: str, code: bytes) -> bytes:
    """Return ``block`` with ``code`` in place of ``source``."""
    stream = Stream(block)
    stream.integer()
    starts, _children = (stream.several(stream.integer) for _ in range(2))
    begin = stream.position
    parts = [block[8:begin]]
    for _ in range(len(starts) - 1):
        kind = stream.text()
        parts.append(packed(kind))
        if kind != _HOST:
            content = stream.block()
            if kind == _KIND:
                content = _content(content, source, form, code)
            parts.append(sized(content))
    whole = b"".join(parts)
    return sized(whole)


def _content(content: bytes, source: str, form: str, code: bytes) -> bytes:
    head, tail = packed(_KIND), packed(source)
    if not (content.startswith(head) and content.endswith(tail)):
        raise BuildError("TVM packs CUDA's kernels in a way that is not known here")
    kernels = content[len(head) : -len(tail)]
    return packed(form) + kernels + sized(code)
