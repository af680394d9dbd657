"""How steps ended, kept in a journal: a line when a step ends.

So a killed build has lost nothing, and the report can be made from it when one ends.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from mlcx.artifact import unwritten, write_text
from mlcx.shape import fits
from mlcx.spec.digest import digest_file
from mlcx.steps.parts import parts

__all__ = ["JOURNAL", "Journal", "Result", "Status", "measure"]

JOURNAL = "journal.jsonl"
"""Its file, in the build folder."""

Status = Literal["built", "cached", "up to date", "failed", "interrupted", "not built"]


@dataclass(frozen=True)
class Result:
    """How a step ended."""

    target: str
    status: Status
    seconds: float | None = None
    bytes: int | None = None
    """Size of all that the step made."""
    sha256: str | None = None
    """Of the target; an index holds the hashes of its parts."""
    log: str | None = None
    error: str | None = None
    """Of a step that failed: why, or the last lines of its log."""
    started: float | None = None
    """Seconds since 1970."""
    peak_memory: int | None = None
    """Most bytes that one process of the step had in memory."""
    lane: int | None = None
    """Which of the steps that ran at one time this was, from 0."""

    def unchanged(self) -> Result:
        """Return what this says of a target that is still as it was built."""
        return replace(self, status="up to date")


def measure(targets: Iterable[Path]) -> tuple[int, str]:
    """Return the bytes of ``targets`` with their parts, and the first one's sha256."""
    first, *others = targets
    made = [first, *others]
    files = {*made, *(part.path for target in made for part in parts(target))}
    return sum(file.stat().st_size for file in files), digest_file(first)


class Journal:
    """The results of steps, one JSON line each, the newest last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = 0
        self.unread = 0
        """Lines that no build wrote as they are."""
        self._torn = False
        """Whether the last line has no end."""
        self._latest: dict[str, Result] = {}
        self._built: dict[str, Result] = {}
        for result in self._read():
            self._keep(result)
        self._before = dict(self._built)
        self._now: dict[str, Result] = {}

    def latest(self, target: str) -> Result | None:
        """Return how the step that makes ``target`` ended the last time it ran."""
        return self._latest.get(target)

    def this_run(self, target: str) -> Result | None:
        """Return how the step that makes ``target`` ended in this run, if it ran."""
        return self._now.get(target)

    def before(self, target: str) -> Result | None:
        """Return how ``target`` was built the last time before this run, if it was."""
        return self._before.get(target)

    def add(self, result: Result) -> None:
        """Append ``result``, with one write: threads and kills cannot tear a line.

        Raises:
            BuildError: The disk is full, or the journal closed; this run knows it.
        """
        self._keep(result)
        self._now[result.target] = result
        self._lines += 1
        line = ("\n" * self._torn + json.dumps(asdict(result)) + "\n").encode()
        try:
            written = self._append(line)
        except OSError as error:
            raise unwritten(self.path, error) from error
        self._torn = written < len(line)
        if self._torn:
            raise unwritten(self.path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    def _append(self, line: bytes) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        descriptor = os.open(self.path, flags, 0o666)
        try:
            return os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def compact(self) -> None:
        """Drop the results that newer ones have replaced."""
        built, last = self._built.values(), self._latest.values()
        kept = [*built, *(each for each in last if each.status != "built")]
        if self._lines > len(kept):
            lines = (json.dumps(asdict(each)) for each in kept)
            write_text(self.path, "".join(f"{line}\n" for line in lines))

    def _keep(self, result: Result) -> None:
        self._latest[result.target] = result
        if result.status == "built":
            self._built[result.target] = result

    def _read(self) -> list[Result]:
        if not self.path.exists():
            return []
        text = self.path.read_text(encoding="utf-8", errors="replace")
        self._torn = text != "" and not text.endswith("\n")
        lines = text.splitlines()
        self._lines = len(lines)
        found = list(filter(None, map(_result, lines)))
        self.unread = len(list(filter(None, lines))) - len(found)
        return found


def _result(line: str) -> Result | None:
    """Read a line of a journal; None: it was torn, or another version wrote it."""
    try:
        found = Result(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
    return found if fits(found, Result) else None
