"""The functions of AMD's GPUs, as bitcode that every kernel is linked with."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from mlcx.errors import BuildError

__all__ = ["REMEDY", "bitcode", "folder", "version"]

REMEDY = "apt-get install rocm-device-libs, or set ROCM_PATH"

_BITCODE = "amdgcn/bitcode"
_ROOTS = ("/usr/lib/x86_64-linux-gnu", "/opt/rocm")
"""Where Debian and AMD put it."""
_MAIN = "ocml"
_ISA = "oclc_isa_version_"
_FIRST_OF_RDNA = 10
"""Generation from which a wavefront has 32 lanes."""


def folder() -> Path | None:
    """Return the folder of the bitcode; None: there is none."""
    roots = (os.environ.get("ROCM_PATH"), *_ROOTS)
    places = (Path(root) / _BITCODE for root in roots if root)
    return next((place for place in places if (place / f"{_MAIN}.bc").is_file()), None)


def version(place: Path) -> str:
    """Return what tells one release of the bitcode from others: it names none."""
    content = (place / f"{_MAIN}.bc").read_bytes()
    return f"bitcode {hashlib.sha256(content).hexdigest()[:12]}"


def bitcode(arch: str) -> tuple[Path, ...]:
    """Return the files to link kernels for ``arch`` with, such as ``gfx1100``.

    They are those that clang takes for functions of mathematics: numbers that are not
    finite count, roots are exact, and so are the smallest numbers.

    Raises:
        BuildError: There is none, or none for ``arch``.
    """
    place = folder()
    if place is None:
        raise BuildError(f"rocm-device-libs is not installed: {REMEDY}")
    number = arch.removeprefix("gfx").partition(":")[0]
    narrow = len(number) > 3 and int(number[:2]) >= _FIRST_OF_RDNA
    names = (
        *(_MAIN, "oclc_daz_opt_off", "oclc_finite_only_off"),
        *("oclc_unsafe_math_off", "oclc_correctly_rounded_sqrt_on"),
        f"oclc_wavefrontsize64_{'off' if narrow else 'on'}",
        *(_instructions(place, number), "oclc_abi_version_500"),
    )
    files = tuple(place / f"{name}.bc" for name in names)
    lacking = [file.name for file in files if not file.is_file()]
    if lacking:
        shown = ", ".join(lacking)
        raise BuildError(f"{place} lacks {shown}: no kernels for {arch} can be made")
    return files


def _instructions(place: Path, number: str) -> str:
    """Return the file that says which instructions there are: ``number``'s own.

    For a GPU that is newer than the bitcode it is the one of the last before it.
    """
    found = (file.stem.removeprefix(_ISA) for file in place.glob(f"{_ISA}*.bc"))
    older = [each for each in found if int(each, 16) <= int(number, 16)]
    return f"{_ISA}{max(older, key=lambda each: int(each, 16), default=number)}"
