"""The one static library of an app, made of the libraries of its models."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mlcx.artifact import replacing
from mlcx.errors import BuildError, InputError
from mlcx.library import headers
from mlcx.library.index import symbols
from mlcx.library.members import members
from mlcx.spec.prefix import canonical_prefix
from mlcx.toolchain.archive import combine

__all__ = ["make_static_lib"]

_BLOB = "__tvm_ffi__library_bin"
"""What each library has, after its prefix."""


def make_static_lib(
    libraries: Sequence[Path], names: Sequence[str], output: Path
) -> list[str]:
    """Archive ``libraries`` as ``output``, atomically; return their prefixes.

    Args:
        libraries: ``.tar`` files of objects.
        names: What the app calls them, ``model_lib``; checked as its runtime will look
            for them.
        output: An archive.

    Raises:
        BuildError: Two have one prefix, a name has no library, or a tool is missing.
        InputError: A library is none, or one for another machine than the others.
        UsageError: A name cannot be one of a library.
    """
    with (
        replacing(output) as temporary,
        tempfile.TemporaryDirectory(prefix="mlcx-") as folder,
    ):
        combine(libraries, temporary, Path(folder))
        _check_machines(libraries)
        found = [name for name in symbols(temporary) if name.endswith(_BLOB)]
        prefixes = Counter(name.removesuffix(_BLOB) for name in found)
        _check(prefixes, names)
    return list(prefixes)


def _check_machines(libraries: Sequence[Path]) -> None:
    """Hold all objects to be for one machine, as far as they say what they are for."""
    seen: dict[str, tuple[str, Path]] = {}
    for library in libraries:
        found = (headers.read(member.data) for member in members(library)[1])
        for header in filter(None, found):
            # Versions of a system may differ; MLC's own objects name no system.
            system = header.platform.rpartition(" ")[0]
            machine = f"{header.architecture} in {header.format}"
            for aspect, said in (("machine", machine), ("system", system)):
                if said:
                    known, first = seen.setdefault(aspect, (said, library))
                    _check_equal(said, library, known, first)


def _check_equal(said: str, library: Path, known: str, first: Path) -> None:
    if said != known:
        message = f"objects for {said}, and those of {first} are for {known}"
        raise InputError.in_file(library, f"{message}: archive them apart")


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
