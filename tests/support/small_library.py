"""Files that have the headers of libraries, and what libraries say, without code."""

from __future__ import annotations

import io
import tarfile

X86_64, AARCH64 = 62, 183


def elf(machine: int = X86_64, content: bytes = b"") -> bytes:
    """Return a 64-bit ELF file that ends in ``content``, without sections."""
    header = b"\x7fELF\x02\x01" + bytes(12) + machine.to_bytes(2, "little")
    return header.ljust(64, b"\0") + content


def macho(content: bytes = b"") -> bytes:
    """Return a 64-bit Mach-O object for ARM that ends in ``content``."""
    header = b"\xcf\xfa\xed\xfe" + (0x0100000C).to_bytes(4, "little")
    return header.ljust(32, b"\0") + content


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
