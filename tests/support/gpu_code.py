"""What a library has for each kernel of its GPU: source, or code for each architecture.

Found by what source begins with in each language, and in the symbols of ELF files.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

import cuda_images
import lief

from mlcx.library import wasm
from mlcx.library.members import members
from mlcx.library.modules import DeviceCode
from mlcx.library.stream import Stream, packed

__all__ = ["with_code"]

_SOURCES = {
    "opencl": re.compile(rb"__kernel void (?:__attribute__\(\S+\) )?(\w+)\("),
    "metal": re.compile(rb"\bkernel void (\w+)\("),
}
_AMD_MACHINE = 224


def with_code(library: Path, device: DeviceCode) -> set[str]:
    """Return those of the kernels of ``device`` that can be run or compiled there.

    Of a fatbin, those that every image has.
    """
    images = [wasm_or(each.data) for each in members(library)[1]]
    found = set().union(*(_names(image, device) for image in images))
    return found & set(device.kernels)


def wasm_or(data: bytes) -> bytes:
    """Return what a file's data is: of WebAssembly, its memory in one piece."""
    return wasm.memory(data) if data.startswith(wasm.MAGIC) else data


def _names(image: bytes, device: DeviceCode) -> set[str]:
    if device.kind in _SOURCES:
        return {name.decode() for name in _SOURCES[device.kind].findall(image)}
    if device.kind == "webgpu":
        return {name for name in device.kernels if _has_shader(image, name)}
    if device.kind == "cuda":
        return _of_cuda(image, device.format)
    assert device.kind in {"hip", "rocm"}
    return _of_amd(image)


def _has_shader(image: bytes, kernel: str) -> bool:
    """Say whether some text, its name in front, is a shader's."""
    name, place = packed(kernel), -1
    while (place := image.find(name, place + 1)) >= 0:
        stream = Stream(image, place + len(name))
        if b"@compute @workgroup_size(" in stream.block()[:1_000_000]:
            return True
    return False


def _of_cuda(image: bytes, form: str) -> set[str]:
    code = cuda_images.code_in(image)
    if form == "cubin":
        return cuda_images.kernels(code)
    elves = [
        cuda_images.kernels(content)
        for kind, _, content in cuda_images.images(code)
        if kind == cuda_images.ELF
    ]
    return set.intersection(*elves)


def _of_amd(image: bytes) -> set[str]:
    """Return the kernels whose descriptors an ELF file for AMD's GPUs has."""
    found: set[str] = set()
    for match in re.finditer(rb"\x7fELF", image):
        (machine,) = struct.unpack_from("<H", image, match.start() + 18)
        if machine == _AMD_MACHINE:
            (size,) = struct.unpack_from("<Q", image, match.start() - 8)
            binary = lief.ELF.parse(list(image[match.start() : match.start() + size]))
            found |= {str(symbol.name) for symbol in binary.symbols}
    return {name.removesuffix(".kd") for name in found if name.endswith(".kd")}
