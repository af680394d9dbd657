"""One run of SCons in one output folder: its lock, its steps and how it closes."""

from __future__ import annotations

import atexit
import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import SCons.Node

from mlcx.artifact import write_json
from mlcx.errors import UsageError
from mlcx.scons import lock
from mlcx.scons.executor import LocalExecutor
from mlcx.scons.policy import policy
from mlcx.scons.progress import Console
from mlcx.scons.report import Journal, Result, Row, summary
from mlcx.scons.requests import Folders, Request
from mlcx.scons.step import Services, Step

__all__ = ["Declared", "Mode", "Session", "session"]


@dataclass(frozen=True)
class Mode:
    """What SCons was asked to do."""

    builds: bool
    cleans: bool
    silent: bool


@dataclass(frozen=True)
class Declared:
    """A request, the step that does it, and the nodes that it makes."""

    request: Request
    step: Step
    nodes: Any


class Session:
    """All that is declared for one output folder and one build folder."""

    def __init__(self, top: Path, folders: Folders, mode: Mode) -> None:
        """Wait for the lock of the build folder when the run changes anything."""
        self.folders = folders
        self.mode = mode
        self._top = top
        self._declared: dict[Path, Declared] = {}
        console = Console(mode.silent)
        held: list[int] = []
        if mode.builds or mode.cleans:
            held.append(lock.acquire(self._lock, console))
            atexit.register(self._close)
        executor = LocalExecutor(held)
        if mode.builds:
            executor.stop_on_signals()
        journal = Journal(folders.build / "journal.jsonl")
        self.services = Services(executor, journal, console, policy(os.environ))

    @property
    def _lock(self) -> Path:
        return self.folders.build / "lock"

    @property
    def stamp(self) -> Path | None:
        """A file that remembers which specs were found valid."""
        return self.folders.build / "valid-specs" if self.mode.builds else None

    @property
    def _report(self) -> Path:
        return self.folders.output / "report.json"

    def find(self, request: Request) -> Declared | None:
        """Return what makes the target of ``request``, if it was declared.

        Raises:
            UsageError: It is made in another way.
        """
        known = self._declared.get(request.targets[0])
        if known and known.request != request:
            message = "two jobs would make this file in different ways"
            raise UsageError(
                f"{known.step.target}: {message}: give one another OUTPUT="
            )
        return known

    def add(self, declared: Declared) -> None:
        """Keep a new step."""
        self._declared[declared.request.targets[0]] = declared

    def _close(self) -> None:
        if self.mode.cleans:
            self._sweep()
        elif any(_state(each) for each in self._declared.values()):
            rows = [self._row(each) for each in self._declared.values()]
            jobs = [row.to_dict() for row in rows]
            write_json(self._report, {"jobs": jobs})
            self.services.journal.compact()
            shown = os.path.relpath(self._report, self._top)
            self.services.reporter.note(summary(rows, shown))

    def _row(self, declared: Declared) -> Row:
        step, state = declared.step, _state(declared)
        result = self._result(step, state)
        return Row(step.verb, step.about, result)

    def _result(self, step: Step, state: int) -> Result:
        ran = self.services.journal.this_run(step.target)
        if ran:
            return ran
        last = self.services.journal.latest(step.target)
        if state != SCons.Node.up_to_date:
            return Result(step.target, "not built")
        if last is None or last.status != "built":
            return Result(step.target, "up to date")
        return last.unchanged()

    def _sweep(self) -> None:
        """After a clean: remove our own files and the folders that are empty."""
        targets = [
            self._top / path
            for each in self._declared.values()
            for path in (*each.step.targets, each.step.log)
        ]
        if not any(path.exists() for path in targets):
            own = ("valid-specs", "journal.jsonl", "lock")
            for path in (self._report, *(self.folders.build / name for name in own)):
                path.unlink(missing_ok=True)
        for folder in _folders(targets, (self.folders.output, self.folders.build)):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _state(declared: Declared) -> int:
    return int(declared.nodes[0].get_state())


def _folders(files: Iterable[Path], roots: tuple[Path, ...]) -> list[Path]:
    """Return the folders of ``files`` up to the ``roots``, the deepest first."""
    parents = {parent for file in files for parent in file.parents}
    below = {each for each in parents if any(root in each.parents for root in roots)}
    return sorted(below | {*roots}, key=lambda path: len(path.parts), reverse=True)


_sessions: dict[Folders, Session] = {}
# SCons itself is one per process; two environments of it must not wait for the lock
# of each other.


def session(top: Path, folders: Folders, mode: Mode) -> Session:
    """Return the session of this process for ``folders``."""
    if folders not in _sessions:
        _sessions[folders] = Session(top, folders, mode)
    return _sessions[folders]
