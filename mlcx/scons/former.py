"""What a spec made once and makes no longer, as long as it lies among its products.

Of each spec the build folder holds what it ever asked for in an output folder. Only
what is as its step left it is named: all else is somebody's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path, PurePosixPath

from mlcx.artifact import write_json
from mlcx.reasons.record import Content, Record, Records
from mlcx.scons.declared import is_gone
from mlcx.shape import fits
from mlcx.spec.digest import digest_file, digest_json
from mlcx.steps.requests import Folders, Request

__all__ = ["FOLDER", "Former"]

FOLDER = "asked"
"""In the build folder."""


@dataclass(frozen=True)
class _Asked:
    """What a spec asked for, by the names of targets."""

    spec: str
    output: str
    now: tuple[str, ...] = ()
    """The last time."""
    left: tuple[str, ...] = ()
    """Before that, and still there then."""


@dataclass(frozen=True)
class Former:
    """Knows what builds in some folders made, and for which specs."""

    top: Path
    """What names in records are relative to."""
    folders: Folders
    records: Records

    def left(self, specs: Mapping[str, Sequence[Request]]) -> list[tuple[str, str]]:
        """Return what is left of what specs once asked for in this output folder.

        What ``specs`` ask for now is noted. A bundle is named by its folder. Besides
        those, specs that are gone are looked at, and what another asks for is not left.

        Returns:
            A name, and what once made it.
        """
        output = self.records.name(self.folders.output)
        asked = {spec: {*self._names(specs[spec])} for spec in specs}
        lists = self._lists()
        ours = {
            each.spec: each
            for each in lists.values()
            if each.output == output
            and (each.spec in specs or is_gone(each.spec, self.top))
        }
        others = (each.now for each in lists.values() if each not in ours.values())
        wanted = set(chain(*others, *asked.values()))
        found: dict[str, str] = {}
        for spec in {**asked, **ours}:
            before = ours.get(spec) or _Asked(spec, output)
            now = asked.get(spec, set())
            gone = sorted({*before.now, *before.left} - now)
            left = {name: shown for name in gone if (shown := self._shown(name))}
            self._note(_Asked(spec, output, tuple(sorted(now)), tuple(left)), before)
            for name in left.keys() - wanted:
                found.setdefault(left[name], spec)
        return sorted(found.items())

    def stays(self) -> bool:
        """Whether anything is there that any spec asked for."""
        lists = self._lists().values()
        names = (name for each in lists for name in (*each.now, *each.left))
        return any(map(self._shown, names))

    def _lists(self) -> dict[Path, _Asked]:
        """Return what was noted, by its file; nothing of what is damaged."""
        files = (self.folders.build / FOLDER).glob("*.json")
        found = {file: _read(file) for file in sorted(files)}
        return {file: each for file, each in found.items() if each is not None}

    def _note(self, asked: _Asked, before: _Asked) -> None:
        name = f"{digest_json([asked.spec, asked.output])[:16]}.json"
        file = self.folders.build / FOLDER / name
        if not asked.now and not asked.left:
            file.unlink(missing_ok=True)
        elif before != asked:
            write_json(file, asdict(asked))

    def _names(self, requests: Iterable[Request]) -> Iterator[str]:
        output, build = self.folders.output, self.folders.build
        # One of the folders may hold the other.
        inner = build if build.is_relative_to(output) and build != output else None
        for request in requests:
            target = request.targets[0]
            is_inner = inner is not None and target.is_relative_to(inner)
            if target.is_relative_to(output) and not is_inner:
                yield self.records.name(target)

    def _shown(self, target: str) -> str:
        """Return what to call what a step made for ``target``; empty: it is gone."""
        record = self.records.read(target)
        if record is None or not self._is_there(target, record):
            return ""
        if record.verb == "bundle":
            return PurePosixPath(target).parent.as_posix()
        return target

    def _is_there(self, target: str, record: Record) -> bool:
        made, path = record.files.get(target), self.top / target
        return made is not None and path.is_file() and _is_in(made, path)


def _is_in(made: Content, path: Path) -> bool:
    found = path.stat()
    if made.stands(found):
        return True
    return found.st_size == made.size and digest_file(path) == made.sha256


def _read(file: Path) -> _Asked | None:
    try:
        value = json.loads(file.read_bytes())
        lists = {name: tuple(value[name]) for name in ("now", "left")}
        found = _Asked(**{**value, **lists})
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None
    return found if fits(found, _Asked) else None
