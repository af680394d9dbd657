"""Check a folder against what it says of itself: its manifest, its weights' indexes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from mlcx.artifact import (
    APP_CONFIG,
    CHAT_CONFIG,
    LOCK,
    MANIFEST,
    REPORTS,
    TENSOR_CACHE,
    read_json,
)
from mlcx.errors import InputError
from mlcx.manifest.compare import files
from mlcx.manifest.hashing import digests

__all__ = ["Checked", "Finding", "check", "printable"]


@dataclass(frozen=True)
class Finding:
    """What is wrong with one file."""

    file: str
    kind: Literal["missing", "extra", "changed"]
    message: str

    def __str__(self) -> str:
        return printable(f"{self.kind}: {self.file}: {self.message}")


@dataclass(frozen=True)
class Checked:
    """What a folder was found to be."""

    files: int
    """Checked by content."""
    bytes: int
    against: tuple[str, ...]
    """The manifest and the indexes, relative to the folder."""
    findings: tuple[Finding, ...]
    unchecked: tuple[str, ...]
    """Files that are there, and that nothing gives a hash of."""
    building: bool = False
    """Whether a build is going on in it."""


@dataclass(frozen=True)
class _Expected:
    size: int | None
    algorithm: str
    digest: str
    by: str


def printable(text: str) -> str:
    """Return ``text`` as one line, whatever characters a name in it has."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode()
        for each in text
    )


def check(folder: Path) -> Checked:
    """Check the delivery or the bundle in ``folder``, with nothing but what is there.

    Raises:
        InputError: It has neither a manifest nor an index of weights, or one that is
            not what it must be.
    """
    if not folder.is_dir():
        found = "a file" if folder.exists() else "no such folder"
        raise InputError.in_file(folder, f"expected a folder, found {found}")
    manifest = folder / MANIFEST
    indexes = sorted(folder.rglob(TENSOR_CACHE))
    sources = [*([manifest] if manifest.is_file() else []), *indexes]
    if not sources:
        expected = f"expected {MANIFEST} or {TENSOR_CACHE}"
        raise InputError.in_file(folder, f"{expected}, found neither: nothing to check")
    configs = [index.with_name(CHAT_CONFIG) for index in indexes]
    configs += [folder / APP_CONFIG, folder / "bundle" / APP_CONFIG]
    sources += [config for config in configs if config.is_file()]
    wanted: dict[str, list[_Expected]] = {}
    for source in sources:
        for name, each in _expected(source, folder):
            wanted.setdefault(name, []).append(each)
    there = files(folder)
    locks = [there.pop(name) for name in [*there] if PurePosixPath(name).name == LOCK]
    findings = [*_changed(wanted, there)]
    hashed = {name for name, each in wanted.items() if any(e.digest for e in each)}
    unchecked = {*there} - hashed - {MANIFEST, *REPORTS}
    if manifest.is_file():
        known = {*wanted, MANIFEST, *REPORTS}
        extra = (Finding(n, "extra", f"not in {MANIFEST}") for n in there)
        findings += (each for each in extra if each.file not in known)
        unchecked = set()
    present = [there[name] for name in hashed if name in there]
    names = tuple(source.relative_to(folder).as_posix() for source in sources)
    size = sum(path.stat().st_size for path in present)
    ordered = tuple(sorted(findings, key=lambda each: (each.kind, each.file)))
    building = any(map(_is_held, locks))
    rest = tuple(sorted(unchecked))
    return Checked(len(present), size, names, ordered, rest, building)


def _is_held(lock: Path) -> bool:
    """Whether the build to which ``lock`` belongs is going on."""
    try:
        from fcntl import LOCK_NB, LOCK_SH, flock  # noqa: PLC0415 (not on every system)

        with lock.open("rb") as file:
            flock(file, LOCK_SH | LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError):  # nobody builds on such a system; it has ended
        return False
    return False


def _expected(source: Path, folder: Path) -> Iterator[tuple[str, _Expected]]:
    content, by = read_json(source), source.relative_to(folder).as_posix()
    key, reading = _LISTS[source.name]
    rows = content.get(key, [] if source.name == CHAT_CONFIG else None)
    try:
        for row in rows or ():
            yield from reading(row, by)
    except KeyError as error:
        message = f"not a {source.name}: an entry of {key!r} has no {error}"
        raise InputError.in_file(source, message) from error
    except (TypeError, AttributeError) as error:
        message = f"not a {source.name}: {key!r} has an entry that is none"
        raise InputError.in_file(source, message) from error
    if not isinstance(rows, list):
        raise InputError.in_file(source, f"not a {source.name}: it lists no files")


_Listed = Iterator[tuple[str, _Expected]]


def _subject(row: dict[str, Any], by: str) -> _Listed:
    size = row.get("annotations", {}).get("bytes")
    digest = row["digest"]["sha256"]
    yield _inside(row["name"], by), _Expected(size, "sha256", digest, by)


def _shard(row: dict[str, Any], by: str) -> _Listed:
    name = (PurePosixPath(by).parent / _inside(row["dataPath"], by)).as_posix()
    yield name, _Expected(row["nbytes"], "md5", row.get("md5sum", ""), by)


def _beside(name: str, by: str) -> _Listed:
    beside = PurePosixPath(by).parent / _inside(name, by)
    yield beside.as_posix(), _Expected(None, "md5", "", by)


def _model(row: dict[str, Any], by: str) -> _Listed:
    if row.get("model_path"):  # else an app brings it from elsewhere
        for name in (TENSOR_CACHE, CHAT_CONFIG):
            yield from _beside(f"{row['model_path']}/{name}", by)


_LISTS: dict[str, tuple[str, Callable[[Any, str], _Listed]]] = {
    MANIFEST: ("subject", _subject),
    TENSOR_CACHE: ("records", _shard),
    CHAT_CONFIG: ("tokenizer_files", _beside),
    APP_CONFIG: ("model_list", _model),
}
"""Name of a file to the key of its list, and what reads an element of it."""


def _inside(name: str, by: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        message = f"expected the name of a file below it, found {name!r}"
        raise InputError.in_file(by, message)
    return path.as_posix()


def _changed(
    wanted: dict[str, list[_Expected]], there: dict[str, Path]
) -> Iterator[Finding]:
    readable = {}
    for name, expected in wanted.items():
        if name not in there or not there[name].is_file():
            yield Finding(name, "missing", f"listed in {expected[0].by}")
        elif wrong := _size(expected, there[name].stat().st_size):
            yield Finding(name, "changed", wrong)
        else:
            readable[name] = there[name]
    algorithms = {each.algorithm for name in readable for each in wanted[name]}
    found = digests(
        readable.values(), sorted(algorithms & hashlib.algorithms_available)
    )
    for name, path in readable.items():
        for each in wanted[name]:
            digest = found[path][each.algorithm]
            if each.digest and digest != each.digest:
                said = f"{each.algorithm} {digest}, expected {each.digest} as {each.by}"
                yield Finding(name, "changed", f"{said} says")


def _size(expected: list[_Expected], found: int) -> str:
    wrong = [each for each in expected if each.size not in (None, found)]
    return (
        f"{found} bytes, expected {wrong[0].size} as {wrong[0].by} says"
        if wrong
        else ""
    )
