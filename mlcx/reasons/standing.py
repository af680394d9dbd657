"""Whether all stands as a build left it, told without asking for any file's content.

After a run that ended with everything up to date, the state of each file that it read
or made is kept: size, times, inode. As long as the same is asked for, by the same code,
and every state is as it was, no step would run. The smallest doubt is a no; then a
build looks at everything itself.

A file that is written to again within one tick of the clock of its file system has the
same times. So a state is trusted only when the file was, by that clock, older than the
look at it. A file that is edited while a build runs might have been read before, so all
are looked at before SCons reads them, and nothing is kept when one is not as it was.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

from mlcx.artifact import write_text
from mlcx.errors import InputError
from mlcx.spec.digest import digest_json
from mlcx.steps.parts import parts
from mlcx.steps.requests import Request

__all__ = ["CLOCK", "FOLDER", "Standing", "digest"]

FOLDER = "standing"
"""In the build folder."""
CLOCK = "clock"
"""Its file in there that is touched to learn the time."""

_SIGNS = "signatures.json"
_VERSION = 1
_TICK = 0.01
"""Seconds: as long as a tick of all but coarse clocks, such as FAT's and HFS+'s."""
_PATIENCE = 5
"""Ticks that are waited for the files of the last step to be old enough."""
_ELSEWHERE = 10 * 10**9
"""Nanoseconds by which a file on another file system must be older: clocks differ."""

_State = list[int]
"""Size, time of writing, inode, time of any change; empty where there is no file."""


def digest(requests: Iterable[Request], code: str) -> str:
    """Return a digest of all that SCons would be told of ``requests``.

    ``code`` stands for what does the telling: another version may say it otherwise.
    """
    found = sha256(code.encode())
    for each in requests:
        facts = [str(fact) for fact in each.facts]
        files = [each.targets, each.sources, each.files, each.judges, each.after]
        # Not canonical, but the same text for the same request: that is enough here.
        found.update(
            repr([each.verb, each.subject, each.options, facts, files]).encode()
        )
    return found.hexdigest()


class Standing:
    """What is known of all that one command line asks for."""

    def __init__(
        self,
        build: Path,
        name: str,
        asked: Sequence[Request],
        code: str,
        signs: Path,
        records: Callable[[Iterable[Request]], Iterable[Path]] | None = None,
    ) -> None:
        """Take what is asked for.

        Args:
            build: The build folder, which the record is in.
            name: Of what is asked for: the specs.
            asked: The requests.
            code: Stands for all code that matters besides the requests' facts.
            signs: SCons' database of signatures, which a person may have removed.
            records: Returns the files that say what requests were made from, which
                stand too then; None: there are none.
        """
        self._record = build / FOLDER / f"{digest_json(name)[:16]}.json"
        self._signs, self._known_signs = signs, build / FOLDER / _SIGNS
        self._asked, self._code, self._records = asked, code, records
        self._before: dict[Path, _State | None] = {}

    def holds(self) -> bool:
        """Whether everything is as ``keep`` last found it."""
        record = _read(self._record)
        if record is None or not self._signs_stand():
            return False
        if record.get("asked") != digest(self._asked, self._code):
            return False
        files = record.get("files")
        if not isinstance(files, dict):
            return False
        return all(_state(path) == known for path, known in files.items())

    def doubts(self) -> set[Path]:
        """Return the files of which only the time of any change is another one.

        Somebody has linked to them, or written to them and set back their time.
        """
        files = (_read(self._record) or {}).get("files")
        known = files.items() if isinstance(files, dict) else ()
        pairs = ((path, before, _state(path)) for path, before in known)
        return {
            Path(path) for path, old, now in pairs if old != now and _same(now, old)
        }

    def look(self) -> None:
        """Look at all files before SCons does: see ``keep``."""
        self._before = self._look(_files(self._asked))
        if not self._signs_stand():
            for path in self._record.parent.glob("*.json"):
                path.unlink(missing_ok=True)

    def made(self, request: Request) -> None:
        """Look again at what a step has just made; called from any thread."""
        self._before.update((path, _state(path)) for path in request.targets)

    def keep(self) -> None:
        """Write down how all is, after a run that found or made it up to date.

        Nothing is kept when a file has been written to since it was looked at, or may
        have been without a trace.
        """
        known = _files(self._asked)
        listed = sorted({part for path in known for part in _parts(path)})
        if self._records is not None:
            listed += self._records(self._asked)
        for _ in range(_PATIENCE):
            files = self._look([*known, *listed])
            if None not in files.values():
                break
            time.sleep(_TICK)
        if not all(_same(files[path], self._before.get(path)) for path in known):
            return
        asked = digest(self._asked, self._code)
        states = {str(path): state for path, state in files.items()}
        if None not in states.values():
            _write(self._record, {"asked": asked, "files": states})
            _write(self._known_signs, {"signatures": _state(self._signs)})

    def _look(self, files: Iterable[Path]) -> dict[Path, _State | None]:
        """Return the states of ``files``; None: there is none that can be trusted."""
        clock = self._record.with_name(CLOCK)
        write_text(clock, "")
        now = clock.stat()
        return {path: _state(path, now) for path in files}

    def _signs_stand(self) -> bool:
        known, now = _read(self._known_signs), _state(self._signs)
        return known is not None and bool(now) and known.get("signatures") == now


def _files(asked: Iterable[Request]) -> dict[Path, None]:
    """Return the files that SCons knows of ``asked``, each once."""
    found = ((*each.targets, *each.sources) for each in asked)
    return dict.fromkeys(chain.from_iterable(found))


def _parts(path: Path) -> list[Path]:
    try:
        return [part.path for part in parts(path)]
    except InputError:
        return [path / "damaged"]  # which is not there, and so not kept


def _state(path: Path | str, clock: os.stat_result | None = None) -> _State | None:
    """Return the state of ``path``; None: it cannot be trusted.

    ``clock`` is a file that was touched before this: what is older can be.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 (ten thousand of them)
    except OSError:
        return []
    if clock is not None:
        margin = 0 if found.st_dev == clock.st_dev else _ELSEWHERE
        if found.st_ctime_ns >= clock.st_ctime_ns - margin:
            return None
    return [found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns]


def _same(now: _State | None, before: _State | None) -> bool:
    """Whether a file was not written to; that it was linked to is no matter."""
    return now is not None and before is not None and now[:3] == before[:3]


def _read(path: Path) -> dict[str, Any] | None:
    """Return what ``_write`` wrote; None: there is nothing that can be used."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    usable = isinstance(content, dict) and content.get("version") == _VERSION
    return content if usable else None


def _write(path: Path, content: dict[str, object]) -> None:
    write_text(path, json.dumps({"version": _VERSION, **content}))
