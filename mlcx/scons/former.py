"""What a spec made once and makes no longer, as long as it lies among its products.

Of each spec the build folder holds what it ever asked for. Only what is as its step
left it is named: all else is somebody's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mlcx.artifact import write_text
from mlcx.reasons.record import Content, Record, Records
from mlcx.spec.digest import digest_file, digest_json
from mlcx.steps.requests import Folders, Request

__all__ = ["FOLDER", "Former"]

FOLDER = "asked"
"""In the build folder."""


@dataclass(frozen=True)
class Former:
    """Knows what builds in some folders made, and for which specs."""

    top: Path
    """What names in records are relative to."""
    folders: Folders
    records: Records

    def left(self, spec: str, requests: Iterable[Request]) -> list[str]:
        """Return what is left of what ``spec`` once asked for, and note ``requests``.

        A bundle is named by its folder. What another spec asked for is not left.
        """
        folder = self.folders.build / FOLDER
        file = folder / f"{digest_json(spec)[:16]}.json"
        before, now = _read(file), set(self._names(requests))
        gone = {name: self._shown(name) for name in before - now}
        left = {name: shown for name, shown in gone.items() if shown}
        known = sorted({*now, *left})
        if known != sorted(before):
            write_text(file, json.dumps(known, indent=0, ensure_ascii=False))
        others = {*folder.glob("*.json")} - {file} if left else ()
        theirs = {name for other in others for name in _read(other)}
        return sorted(shown for name, shown in left.items() if name not in theirs)

    def _names(self, requests: Iterable[Request]) -> Iterable[str]:
        for request in requests:
            if request.targets[0].is_relative_to(self.folders.output):
                yield self.records.name(request.targets[0])

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


def _read(file: Path) -> set[str]:
    """Return what was written; nothing when that is damaged."""
    try:
        return {name for name in json.loads(file.read_bytes()) if isinstance(name, str)}
    except (OSError, ValueError, TypeError, RecursionError):
        return set()
