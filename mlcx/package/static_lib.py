"""The one static library of an app, made of the libraries of its models."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlcx.artifact import replacing
from mlcx.errors import BuildError, InputError
from mlcx.library import headers
from mlcx.library.index import symbols
from mlcx.library.members import members
from mlcx.spec.devices import DEVICES
from mlcx.spec.prefix import canonical_prefix
from mlcx.toolchain.archive import combine
from mlcx.toolchain.triple import parse

__all__ = ["make_static_lib"]

_BLOB = "__tvm_ffi__library_bin"
"""What each library has, after its prefix."""
_FORMAT, _SYSTEM = "format", "system"
_OBJECTS = {
    "android": {_FORMAT: "ELF"},
    "ios": {_FORMAT: "Mach-O", _SYSTEM: "ios"},
    "macabi": {_FORMAT: "Mach-O", _SYSTEM: "mac catalyst"},
}
"""System of an app to what its objects must say that they are for."""


def make_static_lib(
    libraries: Sequence[Path],
    names: Sequence[str],
    output: Path,
    device: str | None = None,
) -> list[str]:
    """Archive ``libraries`` as ``output``, atomically; return their prefixes.

    Args:
        libraries: ``.tar`` files of objects.
        names: What the app calls them, ``model_lib``; checked as its runtime will look
            for them.
        output: An archive.
        device: What the app runs on; None: what the first library is for.

    Raises:
        BuildError: Two have one prefix, a name has no library, or a tool is missing.
        InputError: A library is none, or one for another machine.
        UsageError: A name cannot be one of a library.
    """
    with (
        replacing(output) as temporary,
        tempfile.TemporaryDirectory(prefix="mlcx-") as folder,
    ):
        combine(libraries, temporary, Path(folder))
        _check_machines(libraries, device)
        found = [name for name in symbols(temporary) if name.endswith(_BLOB)]
        prefixes = Counter(name.removesuffix(_BLOB) for name in found)
        _check(prefixes, names)
    return list(prefixes)


def _check_machines(libraries: Sequence[Path], device: str | None) -> None:
    """Hold all objects to be for one machine, as far as they say what they are for."""
    asked = _OBJECTS[parse(DEVICES[device].host).system] if device else {}
    seen = {aspect: (what, f"an app for {device}") for aspect, what in asked.items()}
    for library in libraries:
        for aspect, said in _machine(library):
            known, whose = seen.setdefault(aspect, (said, str(library)))
            if said != known:
                message = f"expected {known} objects, as {whose} has, found {said}"
                raise InputError.in_file(
                    library, f"{message}: take a library for the same machine"
                )


def _machine(library: Path) -> Iterator[tuple[str, str]]:
    """Yield what the objects of ``library`` say of what they are for, by aspect."""
    found = (headers.read(member.data) for member in members(library)[1])
    for header in filter(None, found):
        yield _FORMAT, header.format
        yield "architecture", header.architecture
        if header.platform:  # MLC's own name no system, and versions may differ
            yield _SYSTEM, header.platform.rpartition(" ")[0]


def _check(prefixes: Counter[str], names: Sequence[str]) -> None:
    twice = [prefix for prefix, count in prefixes.items() if count > 1]
    if twice:
        message = f"two libraries have the prefix {twice[0]!r} and would clash"
        raise BuildError(f"{message}: compile one with another --system-lib-prefix")
    known = ", ".join(map(repr, prefixes)) or "none"
    for name in names:
        if canonical_prefix(name) not in prefixes:
            expected = canonical_prefix(name)
            message = f"no library has the prefix {expected!r} of {name}"
            raise BuildError(f"{message}, only {known}")
