"""Compares what a library was compiled for with what is here, before loading it.

A library that says nothing of its making is taken as it is: it may come from elsewhere.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from mlcx import artifact
from mlcx.errors import InputError
from mlcx.runtime.fields import Fields

__all__ = ["check"]

_CPUINFO = Path("/proc/cpuinfo")


def check(library: Path, device: str) -> None:
    """Make sure that the note beside ``library``, if any, allows running it here.

    Raises:
        InputError: It was compiled for another device, with another TVM, or for a CPU
            that can do more than this one.
    """
    note = artifact.library_info(library)
    if not note.is_file():
        return
    fields = Fields(note, artifact.read_json(note))
    _compare(library, "for device", fields.text("device", device), device)
    here = _series(version("apache-tvm"))
    _compare(library, "with TVM", _series(fields.text("tvm", here)), here)
    missing = sorted(set(fields.texts("cpu_features", [])) - _cpu_features())
    if missing and _CPUINFO.is_file():
        lacking = ", ".join(missing)
        raise InputError.in_file(
            library,
            f"compiled for a CPU with {lacking}, which this one lacks: compile it "
            "here, or for --mcpu x86-64-v3 or less",
        )


def _cpu_features() -> frozenset[str]:
    """Return what Linux says of the first processor; empty elsewhere."""
    lines = _CPUINFO.read_text().splitlines() if _CPUINFO.is_file() else []
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())


def _series(release: str) -> str:
    """Return the part of a version within which libraries stay loadable."""
    return ".".join(release.split(".")[:2])


def _compare(library: Path, what: str, found: str, here: str) -> None:
    if found != here:
        raise InputError.in_file(
            library, f"compiled {what} {found}, and here is {here}: compile it again"
        )
