"""Files that have the headers of libraries, and what libraries say, without code."""

from __future__ import annotations

import io
import struct
import tarfile

X86_64, AARCH64 = 62, 183
INTEL_MAC = 0x01000007


def elf(machine: int = X86_64, content: bytes = b"") -> bytes:
    """Return a 64-bit ELF file that ends in ``content``, without sections."""
    header = b"\x7fELF\x02\x01" + bytes(12) + machine.to_bytes(2, "little")
    return header.ljust(64, b"\0") + content


def macho(content: bytes = b"", machine: int = 0x0100000C) -> bytes:
    """Return a 64-bit Mach-O object, for ARM, that ends in ``content``."""
    header = b"\xcf\xfa\xed\xfe" + machine.to_bytes(4, "little")
    return header.ljust(32, b"\0") + content


def universal(*objects: bytes, wide: bool = False) -> bytes:
    """Return a universal file of Mach-O ``objects``, as ``lipo`` writes it."""
    form, magic = (">IIQQII", 0xCAFEBABF) if wide else (">IIIII", 0xCAFEBABE)
    table, body = struct.pack(">II", magic, len(objects)), b""
    for content in objects:
        machine, kind = struct.unpack_from("<II", content, 4)
        start, unused = 4096 + len(body), (0,) if wide else ()
        table += struct.pack(form, machine, kind, start, len(content), 12, *unused)
        body += content.ljust(-(-len(content) // 4096) * 4096, b"\0")
    end = 4096 + len(body) - (-len(objects[-1]) % 4096)
    return (table.ljust(4096, b"\0") + body)[:end]


def pe() -> bytes:
    """Return the headers of a 64-bit DLL for Windows on Intel, without sections."""
    dos = b"MZ".ljust(60, b"\0") + (64).to_bytes(4, "little")
    return dos + b"PE\0\0" + (0x8664).to_bytes(2, "little") + bytes(18)


def tar(*objects: bytes) -> bytes:
    """Return an archive of ``objects``."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for number, content in enumerate(objects):
            member = tarfile.TarInfo(f"lib{number}.o")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
