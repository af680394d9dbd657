"""What became of every job: the journal, ``report.json`` and the closing summary.

The journal gets a line when a step ends, so that a killed build has lost nothing; the
report is made from it when the build ends.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from mlcx.artifact import read_json, write_text
from mlcx.scons.parts import parts
from mlcx.spec.digest import digest_file

__all__ = [
    "About",
    "Journal",
    "Result",
    "Row",
    "Run",
    "Status",
    "figures_in",
    "measure",
    "summary",
]

Status = Literal["built", "cached", "up to date", "failed", "interrupted", "not built"]

_STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True)
class About:
    """What a job is for; None where a job has no such thing."""

    model: str | None = None
    quantization: str | None = None
    device: str | None = None
    overrides: str | None = None

    def __str__(self) -> str:
        return ", ".join(value for value in asdict(self).values() if value)


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


@dataclass(frozen=True)
class Row:
    """One job of the report."""

    verb: str
    about: About
    result: Result
    figures: Mapping[str, object] | None = None
    """Of a library that was measured."""
    before: Result | None = None
    """Of a step that ran: how it went the last time that it was built before."""
    ran: bool = False
    """Whether the step ran in this run of the build."""

    def to_dict(self) -> dict[str, object]:
        """Return this flat, ready for JSON."""
        flat = {"verb": self.verb, **asdict(self.result), **asdict(self.about)}
        flat["ran"] = self.ran
        if self.before is not None:
            names = ("seconds", "bytes", "sha256", "peak_memory")
            flat["before"] = {name: getattr(self.before, name) for name in names}
        return flat if self.figures is None else {**flat, "figures": self.figures}

    def failed_by(self, verdict: Row) -> Row:
        """Return this row of a library on which the ``verdict`` is that it failed."""
        log, error = verdict.result.log, verdict.result.error
        result = replace(self.result, status="failed", log=log, error=error)
        return replace(self, result=result, figures=verdict.figures)


@dataclass(frozen=True)
class Run:
    """One run of a build."""

    started: float
    """Seconds since 1970."""
    seconds: float
    rows: tuple[Row, ...]

    def counts(self) -> dict[Status, int]:
        """Return how many jobs there are of each status that occurs."""
        found = Counter(row.result.status for row in self.rows)
        return {each: found[each] for each in _STATUSES if found[each]}


def figures_in(file: Path) -> Mapping[str, object] | None:
    """Return what was measured, and written to ``file``; None: nothing was yet."""
    if not file.exists():
        return None
    figures: Mapping[str, object] = read_json(file)["figures"]
    return figures


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
        """Append ``result``, with one write: threads and kills cannot tear a line."""
        self._keep(result)
        self._now[result.target] = result
        self._lines += 1
        line = json.dumps(asdict(result)) + "\n"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        descriptor = os.open(self.path, flags, 0o666)
        try:
            os.write(descriptor, line.encode())
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
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        self._lines = len(lines)
        return list(filter(None, map(_result, lines)))


def _result(line: str) -> Result | None:
    """Read a line of a journal; None: it was torn, or another version wrote it."""
    try:
        return Result(**json.loads(line))
    except (json.JSONDecodeError, TypeError):
        return None


def summary(rows: Sequence[Row], report: str) -> str:
    """Return what a person wants to know at the end of a build."""
    counts = Counter(row.result.status for row in rows)
    shown = [f"{counts[each]} {each}" for each in _STATUSES if counts[each]]
    failed = [
        f"failed: {row.verb} {row.result.target} ({row.about}): "
        f"{row.result.log or row.result.error}"  # there is no log when no step ran
        for row in rows
        if row.result.status == "failed"
    ]
    return "\nmlcx: ".join([*failed, f"{', '.join(shown)}, see {report}"])
