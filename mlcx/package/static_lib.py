"""The one static library of an app, made of the libraries of its models."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mlcx.artifact import replacing
from mlcx.errors import BuildError
from mlcx.library.index import symbols
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
        InputError: A library is none.
        UsageError: A name cannot be one of a library.
    """
    with (
        replacing(output) as temporary,
        tempfile.TemporaryDirectory(prefix="mlcx-") as folder,
    ):
        combine(libraries, temporary, Path(folder))
        found = [name for name in symbols(temporary) if name.endswith(_BLOB)]
        prefixes = Counter(name.removesuffix(_BLOB) for name in found)
        _check(prefixes, names)
    return list(prefixes)


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
