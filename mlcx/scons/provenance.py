"""From what a run declared and made to the manifest beside its products."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlcx import __version__
from mlcx.artifact import write_json
from mlcx.manifest.hashing import Ledger
from mlcx.manifest.statement import MANIFEST, statement
from mlcx.steps.parts import parts
from mlcx.steps.requests import Folders, Request
from mlcx.toolchain.distributions import version_of

__all__ = ["HASHES", "write"]

HASHES = "hashes.json"
"""In the build folder: digests of files that stay as they are."""

_MAKERS = ("apache-tvm", "apache-tvm-ffi", "scons")


def write(asked: Iterable[Request], folders: Folders, top: Path) -> int:
    """Write the manifest of all that ``asked`` made; return how many files it lists."""
    requests = list(asked)
    made = {path for request in requests for path in _made(request)}
    products = {path for path in made if path.is_relative_to(folders.output)}
    inputs = {path for request in requests for path in _read(request)} - made
    found = Ledger(folders.build / HASHES).digests(sorted(products | inputs))
    content = statement(
        {
            path.relative_to(folders.output).as_posix(): (
                path.stat().st_size,
                found[path],
            )
            for path in products
        },
        [(_name(path, top), found[path]) for path in inputs],
        {"mlcx": __version__, **{n: version_of(n) or "none" for n in _MAKERS}},
        [_job(request, folders, top) for request in requests],
    )
    write_json(folders.output / MANIFEST, content)
    return len(products)


def _made(request: Request) -> Iterator[Path]:
    for target in request.targets:
        yield target
        yield from (part.path for part in parts(target))
        beside = target.with_name(f"{target.name}.json")  # what a library is made of
        if beside.is_file():
            yield beside


def _read(request: Request) -> Iterator[Path]:
    for source in request.sources:
        yield source
        yield from (part.path for part in parts(source))


def _name(path: Path, top: Path) -> str:
    """Return ``path`` with no more folders than say the same on every machine."""
    if path.is_relative_to(top):
        return path.relative_to(top).as_posix()
    return f"{path.parent.name}/{path.name}"


def _job(request: Request, folders: Folders, top: Path) -> dict[str, object]:
    rest = {str(folders.output): "dist", str(folders.build): "build"}

    def name(path: Path) -> str:
        for folder, shown in rest.items():
            if path.is_relative_to(folder):
                return f"{shown}/{os.path.relpath(path, folder)}"
        return _name(path, top)

    return {
        "verb": request.verb,
        "targets": [name(path) for path in request.targets],
        "sources": [name(path) for path in request.sources],
        "options": list(request.options),
        "facts": [str(fact) for fact in request.facts],
    }
