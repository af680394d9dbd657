"""What a step was last made from: a file for each target, written when the step ends.

One source of truth for why a step runs, what a plan can say and where a product is
from. Records are data for people and programs; SCons decides by its own signatures.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from mlcx.artifact import TENSOR_CACHE, write_bytes
from mlcx.reasons.changes import Change
from mlcx.reasons.common import Common
from mlcx.signature.facts import Fact
from mlcx.spec.digest import digest_file, state

__all__ = ["Content", "Record", "Records", "facts", "look", "options"]

_VERSION = 4
_HEADS = tuple(f'\n "version": {number},'.encode() for number in (3, _VERSION))
"""How what is behind the digest begins; the earlier version has all facts in it."""
_FOLDER = "inputs"
_FACTS = "facts"
"""The folder of facts that have more than a few parts."""
_FEW = 8
_VALUES = 1 << 16
"""Bytes of a JSON file whose values are kept beside its digest."""


@dataclass(frozen=True)
class Content:
    """What was in a file."""

    size: int
    sha256: str
    values: Mapping[str, Any] | None = None
    """Of a small JSON object."""
    written: int = 0
    """Nanoseconds since 1970; 0: there is no file yet."""
    inode: int = 0

    def stands(self, found: os.stat_result) -> bool:
        """Whether the file is the one that this was in, and not written to since."""
        return state(found) == (self.size, self.written, self.inode)

    def is_in(self, path: Path, digest: str) -> bool:
        """Whether this is in ``path``, a file with the SHA-256 ``digest``."""
        return self.sha256 == digest if self.sha256 else self.stands(path.stat())


@dataclass(frozen=True)
class Record:
    """The inputs of the run that made ``target`` as it is."""

    target: str
    verb: str
    ended: float
    """Seconds since 1970; of a target from a cache: when it was taken."""
    seconds: float | None
    """That the run took; None: it came from a cache, or was found up to date."""
    options: Mapping[str, str]
    facts: Mapping[str, Mapping[str, str]]
    sources: Mapping[str, Content]
    because: tuple[Change, ...] = ()
    """Why the run was; empty: there was none, or nothing is known."""
    files: Mapping[str, Content] = field(default_factory=dict)
    """What it made and linked, as it was when the run ended; of shards no sha256."""


def options(words: tuple[str, ...]) -> dict[str, str]:
    """Return the options of a command by their names, without dashes."""
    found: dict[str, str] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name = word[2:]
            found.setdefault(name, "")
        else:
            found[name] = f"{found.get(name, '')} {word}".lstrip()
    return found


def facts(given: tuple[Fact, ...]) -> dict[str, dict[str, str]]:
    """Return facts by their names."""
    return {fact.name: dict(fact.parts) for fact in given}


def look(
    path: Path,
    before: Content | None = None,
    digest: Callable[[Path], str] = digest_file,
) -> Content | None:
    """Return what is in ``path``; None: there is no such file.

    Args:
        path: The file.
        before: What was in it earlier: it is not hashed when that `stands`.
        digest: Returns the SHA-256 of a file.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    if before is not None and before.stands(found):
        return before
    values = _values(path) if found.st_size <= _VALUES else None
    size, *since = state(found)
    return Content(size, digest(path), values, *since)


def _values(path: Path) -> dict[str, Any] | None:
    # What an index holds is digests.
    if path.suffix != ".json" or path.name == TENSOR_CACHE:
        return None
    try:
        value = json.loads(path.read_bytes())
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


class Records:
    """The records of a build folder, by target."""

    def __init__(self, top: Path, build: Path) -> None:
        """Keep them in ``build``; names are relative to ``top`` where that holds it."""
        self._top = top
        self._folder = build / _FOLDER
        self._facts = Common(build / _FACTS)
        self._guard = threading.Lock()

    def name(self, path: Path) -> str:
        """Return ``path`` as records and messages name it."""
        # As texts: a release asks this some ten thousand times.
        text, top = str(path), f"{self._top}{os.sep}"
        return (
            text.removeprefix(top).replace(os.sep, "/")
            if text.startswith(top)
            else text
        )

    def within(self, text: str) -> str:
        """Return ``text`` with the paths in it as ``name`` returns them."""
        return text.replace(f"{self._top}{os.sep}", "")

    def path(self, target: str) -> Path:
        """Return where the record of ``target`` is."""
        return self._folder / f"{target.strip('/')}.json"

    def read(self, target: str) -> Record | None:
        """Return the record of ``target``; None: there is none that is whole."""
        value = self._whole(target)
        if value is None:
            return None
        del value["sha256"], value["version"]
        for name in ("sources", "files"):
            known = value.get(name, {}).items()
            value[name] = {file: Content(**each) for file, each in known}
        value["because"] = tuple(map(_change, value["because"]))
        return Record(**value)

    def write(self, record: Record) -> None:
        """Keep ``record``; called from any thread."""
        value = {"version": _VERSION, **asdict(replace(record, facts={}))}
        with self._guard:  # what was just put is not to be found superfluous
            value["facts"] = {
                name: self._put(each) for name, each in record.facts.items()
            }
            text = json.dumps(value, indent=1, ensure_ascii=False)
            write_bytes(self.path(record.target), _signed(f"{text[1:]}\n".encode()))

    def shared(self) -> list[Path]:
        """Return the files of what records have in common."""
        return self._facts.files()

    def clear(self) -> None:
        """Remove what records have in common, when there is none any more."""
        self._facts.clear()

    def _put(self, fact: Mapping[str, str]) -> Mapping[str, str] | str:
        if len(fact) <= _FEW:
            return fact
        return self._facts.put(fact, self._texts)

    def _texts(self) -> Iterator[bytes]:
        return (path.read_bytes() for path in self._folder.rglob("*.json"))

    def stands(self, target: str) -> bool:
        """Whether there is a record of ``target`` that is as it was written."""
        return self._whole(target) is not None

    def _whole(self, target: str) -> dict[str, Any] | None:
        """Return the record of ``target`` with all its facts, if nothing is damaged."""
        data = self._text(target)
        if data is None:
            return None
        value: dict[str, Any] = json.loads(data)
        for name, fact in value["facts"].items():
            if isinstance(fact, str):
                value["facts"][name] = self._facts.get(fact)
        return None if None in value["facts"].values() else value

    def _text(self, target: str) -> bytes | None:
        # Not by Path: a release asks this of thousands, when it has nothing to do.
        try:
            with open(self.path(target), "rb", buffering=0) as file:  # noqa: PTH123
                data = file.readall()
        except OSError:
            return None
        rest = data[len(_signed(b"")) :]
        return data if rest.startswith(_HEADS) and _signed(rest) == data else None

    def has(self, target: str) -> bool:
        """Whether there is a record of ``target``."""
        return os.path.exists(self.path(target))  # noqa: PTH110 (thousands of them)


def _signed(rest: bytes) -> bytes:
    """Return a JSON object, of which ``rest`` is all but its start and its digest."""
    return b'{\n "sha256": "' + sha256(rest).hexdigest().encode() + b'",' + rest


def _change(value: dict[str, Any]) -> Change:
    because = tuple(map(_change, value["because"]))
    return Change(**{**value, "because": because})
