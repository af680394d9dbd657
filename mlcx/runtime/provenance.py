"""Compares what a library was compiled for with what is here, before loading it.

A library that says nothing of its making is taken as it is: it may come from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from mlcx.errors import InputError
from mlcx.library.extent import cut_off
from mlcx.stamp import Description, Stamp, find
from mlcx.toolchain.triple import parse

__all__ = ["check", "device_of", "explain"]

_CPUINFO = Path("/proc/cpuinfo")
_KINDS = {"llvm": "cpu"}
"""Kind of target to the device here; a GPU is called the same."""

_USES = {
    ".a": "is linked into an app",
    ".tar": "is linked into an app",
    ".wasm": "runs in a browser",
}
"""Suffix of a library that no process loads to what is done with it."""


def check(library: Path, device: str) -> None:
    """Make sure that what ``library`` says of its making allows running it here.

    Raises:
        InputError: It cannot be read or is cut off, or it was compiled for another
            device or machine, with another TVM, or for a CPU that can do more than
            this one.
    """
    content = _read(library)
    _check_whole(library, content)
    found = next(find(content), None)
    stamp = None if found is None else found.stamp
    reasons = [] if stamp is None else list(_mismatches(stamp, device))
    if (use := _USES.get(library.suffix)) is not None:
        reasons.append(f"a library that {use}, which mlcx does not load")
    if reasons:
        message = f"{'; '.join(reasons)}{_remedy(library, found, device)}"
        raise InputError.in_file(library, message)


def explain(library: Path, device: str) -> str:
    """Return what to add to an error of loading ``library``: its making, the remedy."""
    return _remedy(library, _describe(library), device)


def device_of(library: Path) -> str | None:
    """Return the device that ``library`` was compiled for; None: it does not say."""
    found = _describe(library)
    stamp = None if found is None else found.stamp
    return None if stamp is None else _KINDS.get(stamp.kind, stamp.kind)


def _describe(library: Path) -> Description | None:
    return next(find(_read(library)), None)


def _read(library: Path) -> bytes:
    try:
        return library.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise InputError.in_file(library, message) from error


def _check_whole(library: Path, content: bytes) -> None:
    """Refuse a file without its end.

    Linux would load it, and end the process where a page is missing.
    """
    if reason := cut_off(content):
        raise InputError.in_file(library, f"{reason}: copy or build it again")


def _mismatches(stamp: Stamp, device: str) -> Iterator[str]:
    compiled = _KINDS.get(stamp.kind, stamp.kind)
    if compiled != device:
        yield f"compiled for {compiled}, and here is {device}"
    if not parse(stamp.triple).is_here:
        yield f"compiled for the machine {stamp.triple}, which is not like this one"
    for name, package, found in (
        ("TVM", "apache-tvm", stamp.tvm),
        ("TVM's ffi", "apache-tvm-ffi", stamp.tvm_ffi),
    ):
        here = version(package)
        if _series(found) != _series(here):
            yield f"compiled with {name} {found}, and here is {here}"
    missing = sorted(set(stamp.cpu_features) - _cpu_features())
    if missing and _CPUINFO.is_file():
        yield f"compiled for a CPU with {', '.join(missing)}, which this one lacks"


def _remedy(library: Path, found: Description | None, device: str) -> str:
    """Return what a library was built with and how to build it for this machine."""
    if found is None:
        return ""
    if found.stamp is None:
        model = f"{found.metadata['model_type']} at {found.metadata['quantization']}"
        how = f"mlcx compile MODEL --device {device} -o {library.stem}.so"
        return f"\n  built by MLC LLM: {model}\n  to build one for here: {how}"
    command = found.command(f"{library.stem}.so", device)
    return f"\n  built by {found.stamp.summary}\n  to build it for here: {command}"


def _cpu_features() -> frozenset[str]:
    """Return what Linux says of the first processor; empty elsewhere."""
    lines = _CPUINFO.read_text().splitlines() if _CPUINFO.is_file() else []
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())


def _series(release: str) -> str:
    """Return the part of a version within which libraries stay loadable."""
    return ".".join(release.split(".")[:2])
