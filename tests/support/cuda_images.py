"""Reading kernels as NVIDIA's tools make them: ELF files, and fatbins of several."""

import struct

import pytest

lief = pytest.importorskip("lief")

FATBIN = struct.pack("<IH", 0xBA55ED50, 1)
PTX, ELF = 1, 2
CUDA_MACHINE = 190


def code_in(library: bytes) -> bytes:
    """Return the compiled kernels in ``library``; TVM puts their size in front."""
    begin = library.find(FATBIN)
    while begin < 0 or library[begin : begin + 4] == b"\x7fELF":
        begin = library.index(b"\x7fELF", begin + 1)
        (machine,) = struct.unpack_from("<H", library, begin + 18)
        if machine == CUDA_MACHINE:
            break
    (size,) = struct.unpack_from("<Q", library, begin - 8)
    return library[begin : begin + size]


def images(fatbin: bytes) -> list[tuple[int, int, bytes]]:
    """Return the kind, the number of the architecture and the content of each image."""
    assert fatbin.startswith(FATBIN)
    header, size = struct.unpack_from("<HQ", fatbin, 6)
    assert header + size == len(fatbin)
    found, position = [], header
    while position < len(fatbin):
        kind, _, head, length = struct.unpack_from("<HHIQ", fatbin, position)
        (arch,) = struct.unpack_from("<I", fatbin, position + 28)
        begin = position + head
        found.append((kind, arch, fatbin[begin : begin + length]))
        position = begin + length
    return found


def kernels(cubin: bytes) -> set[str]:
    """Return the names of the kernels in an ELF file for GPUs."""
    lief.logging.disable()
    binary = lief.ELF.parse(list(cubin))
    assert isinstance(binary, lief.ELF.Binary)
    names = (str(section.name) for section in binary.sections)
    return {name.removeprefix(".text.") for name in names if name.startswith(".text.")}


def arch_of(cubin: bytes) -> int:
    """Return the number of the architecture that an ELF file for GPUs is for."""
    (flags,) = struct.unpack_from("<I", cubin, 48)
    return int(flags) >> 8 & 0xFF
