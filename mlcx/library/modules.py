"""The modules that TVM puts into a library: the model's executable and device code.

They are one block of data, the *library binary*: its size, the tree of imports as two
vectors, and for each module its kind and content. The tree's root is the executable.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from mlcx.library.stream import Stream, packed

__all__ = ["DeviceCode", "Executable", "Function", "find"]

_ROOT = packed("relax.VMExecutable")
_HOST = "_lib"
"""Stands, without content, for the host's code around the block."""

_MOST = 64
"""Modules of a library; there are as many as kinds of devices."""

_HAS_FORMAT = {"cuda": True, "hip": True, "metal": True, "opencl": True, "vulkan": True}
_LAYOUTS = _HAS_FORMAT | {"webgpu": False}
"""Kind of device code to whether it says which of the kind's formats it has."""

_CALLED, _OWN = 0, 1
"""Kinds of an executable's functions, of those that matter."""


@dataclass(frozen=True)
class Function:
    """One that runtimes can call."""

    name: str
    arguments: int


@dataclass(frozen=True)
class DeviceCode:
    """Kernels for one kind of device."""

    kind: str
    """``cuda``, ``opencl``, …"""
    format: str
    """Of the code: ``cubin``, ``cl``, …; empty where the kind has one only."""
    kernels: tuple[str, ...]
    bytes: int
    """Of the code and all that belongs to it."""


@dataclass(frozen=True)
class Executable:
    """A model, as TVM's virtual machine runs it."""

    version: str
    """Of the machine's code."""
    functions: tuple[Function, ...]
    runtime_functions: tuple[str, ...]
    """Those of the runtime that it calls."""
    devices: tuple[DeviceCode, ...]


def find(image: bytes) -> Iterator[Executable]:
    """Yield the executables in the content of an object or a library.

    What only looks like one is passed over: content that is cut off, or of a TVM with
    another layout.
    """
    position = image.find(_ROOT)
    while position >= 0:
        with contextlib.suppress(ValueError):
            yield _executable(image, position)
        position = image.find(_ROOT, position + 1)


def _executable(image: bytes, position: int) -> Executable:
    count = _count(image, position)
    stream = Stream(image, position)
    stream.text()
    version, functions, called = _functions(Stream(stream.block()))
    devices = []
    for _ in range(count - 1):
        kind = stream.text()
        if kind != _HOST:
            devices.append(_device(kind, stream.block()))
    return Executable(version, functions, called, tuple(devices))


def _count(image: bytes, position: int) -> int:
    """Return how many modules begin at ``position``, which the tree before it says.

    Of n modules in a tree, the first vector has n + 1 elements and the second n - 1.
    """
    for count in range(1, _MOST):
        first = position - 8 * (2 * count + 2)
        second = position - 8 * count
        if first < 8:
            break
        lengths = [Stream(image, place).integer() for place in (first, second)]
        if lengths == [count + 1, count - 1]:
            return count
    raise ValueError("no tree of imports")


def _functions(
    stream: Stream,
) -> tuple[str, tuple[Function, ...], tuple[str, ...]]:
    """Return the version, its own functions and the names of the runtime's."""
    stream.take(8)
    version = stream.text()
    table = stream.several(lambda: _function(stream))
    own = tuple(function for kind, function in table if kind == _OWN)
    called = (each.name for kind, each in table if kind == _CALLED)
    return version, own, tuple(name for name in called if "." in name)


def _function(stream: Stream) -> tuple[int, Function]:
    kind, name = stream.integer(4), stream.text()
    _start, _end, arguments, _registers = (stream.integer() for _ in range(4))
    stream.several(stream.text)
    return kind, Function(name, arguments)


def _device(kind: str, content: bytes) -> DeviceCode:
    if kind not in _LAYOUTS:
        return DeviceCode(kind, "", (), len(content))
    stream = Stream(content)
    form = stream.text() if _LAYOUTS[kind] else ""
    kernels = stream.several(lambda: _kernel(stream))
    return DeviceCode(kind, form, tuple(sorted(kernels)), len(content))


def _kernel(stream: Stream) -> str:
    """Return the name of a kernel; types and tags of its arguments follow it."""
    stream.text()
    name = stream.text()
    stream.several(lambda: stream.integer(4))
    stream.several(stream.text)
    stream.several(lambda: stream.integer(4))
    return name
