"""From what specs asked for and runs made to the manifest beside the products.

One manifest says it for a folder, whatever specs were built into it, and in how many
runs: of each spec what is to be listed is kept in the build folder, and stays in the
manifest as long as all of it is there, byte for byte.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlcx import __version__
from mlcx.artifact import MANIFEST, write_json
from mlcx.manifest.hashing import Digests, Ledger
from mlcx.manifest.statement import statement
from mlcx.reasons.record import Records
from mlcx.scons.declared import is_gone
from mlcx.shape import fits
from mlcx.spec.digest import digest_json
from mlcx.steps.parts import all_of, parts
from mlcx.steps.places import distinct
from mlcx.steps.requests import Folders, Request
from mlcx.toolchain.distributions import version_of

__all__ = ["HASHES", "renew"]

HASHES = "hashes.json"
"""In the build folder: digests of files that stay as they are."""

_LISTED = "listed"
"""The folder, in the build folder, of what is listed of each spec."""

_MAKERS = ("apache-tvm", "apache-tvm-ffi", "scons")


@dataclass(frozen=True)
class _Listed:
    """What a manifest says of one spec."""

    spec: str
    """Its file, or what asked for it."""
    products: Mapping[str, Mapping[str, str]]
    """Each file, relative to the output folder, to its digests."""
    inputs: Mapping[str, str]
    """What it was made from: name to SHA-256."""
    packages: Mapping[str, str]
    jobs: tuple[Mapping[str, Any], ...]


def renew(
    asked: Mapping[str, Sequence[Request]],
    whole: Collection[str],
    folders: Folders,
    top: Path,
) -> Iterator[str]:
    """Write the manifest anew, or remove it when nothing is to be listed.

    Args:
        asked: What each spec of this run asks for, by the spec's name.
        whole: Those of which all was made.
        folders: Where.
        top: What names of inputs are relative to.

    Yields:
        What to say of it.
    """
    files = {spec: _files(asked[spec], folders) for spec in asked if spec in whole}
    before = {each.spec: each for each in _read_all(folders)}
    others = [each for spec, each in before.items() if spec not in asked]
    paths = {path for made, read in files.values() for path in (*made, *read)}
    theirs = {folders.output / name for each in others for name in each.products}
    ledger = Ledger(folders.build / HASHES)
    found = ledger.digests(sorted(paths | {path for path in theirs if path.is_file()}))
    listed, records = [], Records(top, folders.build)
    out = dict.fromkeys(sorted(asked.keys() - files.keys()), "not all was built")
    for spec, made in files.items():
        now = _list(spec, asked[spec], made, found, folders, top)
        known = before[spec].products if spec in before else {}
        new = [n for n in now.products if now.products[n] != known.get(n)]
        if new and (reason := _altered(asked[spec], found, records)):
            out[spec] = reason
        else:
            listed.append(now)
    current = {name for each in listed for name in each.products}
    for each in others:
        rest, gone = sorted(each.products.keys() - current), is_gone(each.spec, top)
        if reason := _stale(each, found, folders.output):
            out[each.spec] = reason
        elif rest or not gone:
            listed.append(each)
            if gone:
                yield _orphaned(each.spec, rest)
    _write_all(listed, folders)
    yield from _replace(folders.output / MANIFEST, listed, found, out, top)


def _replace(
    path: Path,
    listed: Sequence[_Listed],
    found: Mapping[Path, Digests],
    out: Mapping[str, str],
    top: Path,
) -> Iterator[str]:
    """Write what is ``listed``, or remove the manifest; ``out`` is why what is not."""
    shown = os.path.relpath(path, top)
    is_there = listed or path.exists()
    lacks = f"{MANIFEST} leaves out" if is_there else f"{shown} is not made of"
    yield from (f"{lacks} what {spec} makes: {reason}" for spec, reason in out.items())
    if listed:
        count = _write(path, listed, found)
        yield f"{shown} lists {count} file{'s' * (count != 1)}"
    elif path.exists():
        path.unlink()
        yield f"{shown} removed: there is nothing that it could list"


def _orphaned(spec: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - 1} more" if names[1:] else ""
    said = f"{MANIFEST} lists what {spec} made, which is gone"
    return f"warning: {said}: remove {names[0]}{more}, or make it by another spec"


def _files(
    requests: Iterable[Request], folders: Folders
) -> tuple[set[Path], set[Path]]:
    """Return the products of ``requests``, and what they read and did not make."""
    asked = list(requests)
    made = {path for request in asked for path in _made(request)}
    read = {path for request in asked for path in _read(request)}
    return {path for path in made if path.is_relative_to(folders.output)}, read - made


def _list(
    spec: str,
    requests: Iterable[Request],
    files: tuple[set[Path], set[Path]],
    found: Mapping[Path, Digests],
    folders: Folders,
    top: Path,
) -> _Listed:
    made, read = files
    return _Listed(
        spec,
        {path.relative_to(folders.output).as_posix(): found[path] for path in made},
        {_name(path, top): found[path]["sha256"] for path in read},
        _packages(),
        tuple(_job(request, folders, top) for request in requests),
    )


def _packages() -> dict[str, str]:
    return {"mlcx": __version__, **{n: version_of(n) or "none" for n in _MAKERS}}


def _altered(
    requests: Iterable[Request], found: Mapping[Path, Digests], records: Records
) -> str:
    """Say which product is not what its step made; empty: none."""
    for request in requests:
        record = records.read(records.name(request.targets[0]))
        for path in _made(request) if record else ():
            name = records.name(path)
            made = record.files.get(name) if record else None
            digest = found[path]["sha256"] if path in found else ""
            if made and digest and not made.is_in(path, digest):
                return f"{name} changed since it was made"
    return ""


def _stale(listed: _Listed, found: Mapping[Path, Digests], output: Path) -> str:
    """Say why ``listed`` is no longer true; empty: it is."""
    if listed.packages != _packages():
        return "it was made by other versions"
    for name, digests in listed.products.items():
        now = found.get(output / name)
        if now != digests:
            return f"{name} is {'missing' if now is None else 'changed'}"
    return ""


def _folder(folders: Folders) -> Path:
    """Return where it is kept what is listed: that of each output folder apart."""
    return folders.build / _LISTED / distinct(folders.output, folders.build)


def _read_all(folders: Folders) -> list[_Listed]:
    """Return what was listed; what is damaged is none of it."""
    read = map(_read_one, sorted(_folder(folders).glob("*.json")))
    return [each for each in read if each is not None]


def _read_one(path: Path) -> _Listed | None:
    try:
        value = json.loads(path.read_bytes())
        found = _Listed(**{**value, "jobs": tuple(value["jobs"])})
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None
    return found if fits(found, _Listed) else None


def _write_all(listed: Iterable[_Listed], folders: Folders) -> None:
    folder = _folder(folders)
    wanted = {folder / f"{digest_json(each.spec)[:16]}.json": each for each in listed}
    for path, each in wanted.items():
        write_json(path, asdict(each))
    for path in {*folder.glob("*.json")} - wanted.keys():
        path.unlink()
    if not wanted and folder.exists():
        folder.rmdir()
        with contextlib.suppress(OSError):  # another output folder's are there
            folder.parent.rmdir()


def _write(path: Path, listed: Iterable[_Listed], found: Mapping[Path, Digests]) -> int:
    ordered = sorted(listed, key=lambda each: each.spec)
    names = {name: path.parent / name for each in ordered for name in each.products}
    products = {n: (file.stat().st_size, found[file]) for n, file in names.items()}
    inputs = {item for each in ordered for item in each.inputs.items()}
    jobs = {digest_json(job): job for each in ordered for job in each.jobs}
    content = statement(
        products,
        [(name, {"sha256": digest}) for name, digest in inputs],
        _packages(),
        jobs.values(),
    )
    write_json(path, content)
    return len(products)


def _made(request: Request) -> Iterator[Path]:
    for target in request.targets:
        yield from (part.path for part in all_of(target))


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
