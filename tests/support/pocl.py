"""A GPU's library, run as it is on this machine: its kernels by an OpenCL for CPUs.

TVM's wheel has no runtime for OpenCL, so the parts that it looks up by name are given
here: a device whose memory is the host's, and a loader that compiles the kernels of a
library with pyopencl. Everything else is the library's own: the virtual machine's code,
the host code that launches each kernel with so many threads, and the cache.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
import tvm_ffi

from mlcx.library.stream import Stream
from mlcx.runtime import device

__all__ = ["opencl"]

_DEVICE = 4
"""OpenCL's type in DLPack."""

_AXES = {
    f"{kind}Idx.{axis}": n
    for n, (kind, axis) in enumerate(product(("block", "thread"), "xyz"))
}
_POINTER = 3
"""Code of a handle's type."""
_SCALARS: dict[tuple[int, int], type[np.generic]] = {
    (0, 32): np.int32,
    (0, 64): np.int64,
    (1, 32): np.uint32,
    (1, 64): np.uint64,
    (2, 32): np.float32,
    (2, 64): np.float64,
}
"""Code and bits of a number's type to numpy's."""


@contextmanager
def opencl() -> Iterator[None]:
    """Let `mlcx.runtime` open one library after the other for the device ``opencl``.

    A library must not be used any more once another is open.
    """
    cl = pytest.importorskip("pyopencl", reason="needs pyopencl")
    platforms = _platforms(cl)
    if not platforms:
        pytest.skip("no OpenCL for CPUs here: apt-get install pocl-opencl-icd")
    device._load_runtime()
    queue = cl.CommandQueue(cl.Context(platforms))

    def load(content: bytes) -> Any:
        program = _Program(cl, queue, content)
        for name, kernel in program.kernels.items():
            tvm_ffi.register_global_func(name, kernel, override=True)
        # Finds no function itself, so that those registered are taken.
        return tvm_ffi.system_lib("of_no_library_")

    memory = tvm_ffi.get_global_func("device_api.cpu")
    tvm_ffi.register_global_func("device_api.opencl", memory, override=True)
    loader = "ffi.Module.load_from_bytes.opencl"
    tvm_ffi.register_global_func(loader, load, override=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(device.DEVICES, "opencl", _DEVICE)
        yield


def _platforms(cl: Any) -> list[Any]:
    """Return the CPU's devices of the first platform that has one."""
    try:
        found = cl.get_platforms()
    except cl.Error:
        return []
    devices = [platform.get_devices(cl.device_type.CPU) for platform in found]
    return next(filter(None, devices), [])


class _Program:
    """What a library has for OpenCL: source, and how each kernel is called."""

    def __init__(self, cl: Any, queue: Any, content: bytes) -> None:
        stream = Stream(content)
        assert stream.text() == "cl"
        table = stream.several(lambda: _entry(stream))
        self.cl, self.queue = cl, queue
        self.built = cl.Program(queue.context, stream.text()).build()
        self.kernels = {entry.name: _Kernel(self, entry) for entry in table}


@dataclass(frozen=True)
class _Entry:
    name: str
    types: tuple[tuple[int, int], ...]
    """Code and bits of each argument."""
    tags: tuple[str, ...]
    """What the numbers after the arguments are."""


def _entry(stream: Stream) -> _Entry:
    stream.text()
    name = stream.text()

    def kind() -> tuple[int, int]:
        code, bits, _lanes = (stream.integer(size) for size in (1, 1, 2))
        return code, bits

    types = stream.several(kind)
    tags = stream.several(stream.text)
    stream.several(lambda: stream.integer(4))
    return _Entry(name, tuple(types), tuple(tags))


class _Kernel:
    """Called as the host code does: arguments, then what ``tags`` say."""

    def __init__(self, program: _Program, entry: _Entry) -> None:
        self._cl, self._queue = program.cl, program.queue
        self._kernel = program.cl.Kernel(program.built, entry.name)
        self._entry = entry

    def __call__(self, *values: Any) -> None:
        types, tags = self._entry.types, self._entry.tags
        for place, (kind, value) in enumerate(zip(types, values, strict=False)):
            self._kernel.set_arg(place, self._argument(kind, value))
        sizes = [1] * 6
        for tag, count in zip(tags, values[len(types) :], strict=True):
            sizes[_AXES[tag]] = int(count)
        groups, threads = sizes[:3], sizes[3:]
        if 0 in groups:
            return
        total = [a * b for a, b in zip(groups, threads, strict=True)]
        launch = self._cl.enqueue_nd_range_kernel
        launch(self._queue, self._kernel, total, threads).wait()

    def _argument(self, kind: tuple[int, int], value: Any) -> Any:
        if kind[0] != _POINTER:
            return _SCALARS[kind](value)
        address = value and ctypes.cast(value, ctypes.c_void_p).value
        if address is None:
            return None
        # How much there is, nobody says; the kernel gets the address as it is.
        memory = (ctypes.c_uint8 * 1).from_address(address)
        return self._cl.SVM(np.frombuffer(memory, np.uint8))
