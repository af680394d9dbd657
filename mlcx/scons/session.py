"""One run of SCons in one output folder: its lock, its steps and how it closes."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import SCons
import SCons.Node

from mlcx.errors import UsageError
from mlcx.manifest.statement import MANIFEST
from mlcx.policy import policy
from mlcx.progress import draws
from mlcx.reasons.record import Records
from mlcx.reasons.standing import FOLDER as STANDING
from mlcx.reasons.standing import Standing
from mlcx.reasons.why import Why
from mlcx.report import documents
from mlcx.report.journal import JOURNAL, Journal, Result
from mlcx.report.run import Row, Run, figures_in, summary
from mlcx.scons import database, ending, lock, provenance
from mlcx.scons.asked import asked, totals
from mlcx.scons.available import available
from mlcx.scons.executor import LocalExecutor
from mlcx.scons.lanes import Lanes
from mlcx.scons.memory import Memory
from mlcx.scons.progress import Console
from mlcx.scons.screen import Screen, width
from mlcx.scons.step import Services, Step
from mlcx.signature import inputs
from mlcx.spec.resolve import hub_settings
from mlcx.steps.requests import Folders, Request
from mlcx.store.settings import Settings, open_cache

__all__ = ["Declared", "Mode", "Session", "session"]

_DONE = {"built", "up to date", "cached"}
_LOCK = "lock"
_SCRATCH = "tmp"
"""For the temporary files of steps."""
_STAMP = "valid-specs"


@dataclass(frozen=True)
class Mode:
    """What SCons was asked to do."""

    builds: bool
    cleans: bool
    silent: bool
    plans: bool = False
    """Only say what would be done."""
    keeps_going: bool = False
    """After a failure."""
    manifest: bool = False
    """Say in a file what was made of what."""
    memory: float | None = None
    """Bytes that steps may take together; None: as many as there are."""


@dataclass(frozen=True)
class Declared:
    """A request, the step that does it, and the nodes that it makes."""

    request: Request
    step: Step
    nodes: Any
    """Empty: SCons was not told, since all stands as it was."""


class Session:
    """All that is declared for one output folder and one build folder."""

    def __init__(
        self, top: Path, folders: Folders, mode: Mode, caching: Settings
    ) -> None:
        """Wait for the lock of the build folder when the run changes anything."""
        self.folders = folders
        self.mode = mode
        self.services = _services(top, folders.build, mode, caching)
        self.specs: dict[str, list[Request]] = {}
        """What each spec asks for, by its name."""
        self.remains: list[str] = []
        """What this build cannot make, to say at its end."""
        self._top = top
        self._known = _known(folders.build)
        self._declared: dict[Path, Declared] = {}
        self._standing: Standing | None = None
        self._started = time.time()
        if mode.builds or mode.cleans or mode.plans:
            atexit.register(self._close)

    @property
    def stamp(self) -> Path | None:
        """A file that remembers which specs were found valid."""
        return self.folders.build / _STAMP if self.mode.builds else None

    @property
    def _report(self) -> Path:
        return documents.paths(self.folders.output)[0]

    def stands(self, specs: Mapping[str, Sequence[Request]]) -> bool:
        """Whether all that ``specs`` ask for is as an earlier run left it.

        Then it is taken for declared, and SCons need not be told. Else it is watched,
        so that the next run can say so.
        """
        wanted = [request for each in specs.values() for request in each]
        always = self.services.policy.always or hub_settings().policy.always
        if not self.mode.builds or always or any(each.lacks for each in wanted):
            return False
        name = "\n".join([str(self.folders.output), *specs])
        signs = database.where(self._top)
        standing = Standing(self.folders.build, name, wanted, _code(), signs)
        if standing.holds():
            for request in wanted:
                self.add(Declared(request, self.step(request), ()))
            return True
        self._standing = standing
        self.services.watching.append(standing)
        standing.look()
        return False

    def step(self, request: Request) -> Step:
        """Return the step that does ``request``."""
        name = self.services.why.records.name
        targets = tuple(map(name, request.targets))
        named = "_".join((request.verb, request.subject, *request.options[1:2]))
        first = named if request.subject else targets[0].strip("/")
        log = name(self.folders.build / "log" / f"{first.replace('/', '_')}.log")
        about, lacks = request.about, request.lacks
        return Step(request.verb, targets, log, about, self.services, request, lacks)

    def bytes_before(self, request: Request) -> int | None:
        """Return the bytes that ``request`` made the last time that it was built."""
        name = self.services.why.records.name(request.targets[0])
        before = self.services.journal.before(name)
        return None if before is None else before.bytes

    def find(self, request: Request) -> Declared | None:
        """Return what makes the target of ``request``, if it was declared.

        Raises:
            UsageError: It is made in another way.
        """
        known = self._known.get(request.targets[0])
        if known is None:
            return None
        if known.request != request:
            message = "two jobs would make this file, each in its own way"
            raise UsageError(f"{known.step.target}: {message}: build them apart")
        self.add(known)
        return known

    def add(self, declared: Declared) -> None:
        """Keep a step."""
        target = declared.request.targets[0]
        self._declared[target] = self._known[target] = declared

    def _close(self) -> None:
        if self.services.screen is not None:
            self.services.screen.stop()
        if self.mode.plans:
            self._plan()
        elif self.mode.cleans:
            self._sweep()
        elif any(_state(each) for each in self._declared.values()):
            with ending.failing(self.services.reporter):
                self._adopt()
            rows = self._rows()
            run = Run(self._started, time.time() - self._started, tuple(rows))
            with ending.failing(self.services.reporter):
                documents.write(run, self.folders.output, self._top)
                self.services.journal.compact()
            shown = os.path.relpath(self._report, self._top)
            told = self._asked_for(rows)
            self._table(told)
            self.services.reporter.note(summary(told, shown))
            with ending.failing(self.services.reporter):
                self._manifest({row.result.target for row in rows if _is_done(row)})
                if self._standing is not None and all(map(_is_done, rows)):
                    self._standing.keep()
            for text in dict.fromkeys(self.remains):
                self.services.reporter.note(text)

    def _plan(self) -> None:
        """Say what a build would do with all that was asked for."""
        names = {node.get_internal_path() for node in _wanted(self.folders.build)}
        if self.mode.cleans or self.mode.silent or not names:
            return
        # Loaded here for the same reason as what lays tables out.
        from mlcx.scons.telling import told  # noqa: PLC0415

        declared = [each.request for each in self._declared.values()]
        text = told(self._top, self.folders, self.services, declared, names)
        self.services.reporter.lines(text)

    def _asked_for(self, rows: Iterable[Row]) -> list[Row]:
        """Return the jobs that the command line asks for, with all that they need."""
        names = {node.get_internal_path() for node in _wanted(self.folders.build)}
        names |= {
            each.step.target for each in self._declared.values() if not each.nodes
        }
        return [row for row in rows if row.result.target in names]

    def _table(self, rows: Sequence[Row]) -> None:
        """Show what became of each step, when one has run."""
        if any(row.ran for row in rows) and not self.mode.silent:
            # What lays tables out takes as long to load as half of a null build.
            from mlcx.report.closing import closing  # noqa: PLC0415

            self.services.reporter.lines(closing(rows, width(sys.stdout)))

    def _manifest(self, done: Collection[str]) -> None:
        """Write the manifest that was asked for, or renew one that is there.

        Of a spec of which something is not ``done``, nothing is listed.
        """
        if not (self.mode.manifest or (self.folders.output / MANIFEST).exists()):
            return
        asked = self._asked()
        whole = [
            spec
            for spec, requests in asked.items()
            if all(
                self._declared[each.targets[0]].step.target in done for each in requests
            )
        ]
        for note in provenance.renew(asked, whole, self.folders, self._top):
            self.services.reporter.note(note)

    def _asked(self) -> dict[str, list[Request]]:
        """Return what each spec asks for, and a script besides."""
        named = {each.targets[0] for asked in self.specs.values() for each in asked}
        others = [
            each.request for path, each in self._declared.items() if path not in named
        ]
        return {**self.specs, **({"SConstruct": others} if others else {})}

    def _adopt(self) -> None:
        """Write down the inputs of what was built without a step, or long ago."""
        why = self.services.why
        for each in self._declared.values():
            state, target = _state(each), each.step.target
            taken = state == SCons.Node.executed and not self.services.journal.this_run(
                target
            )
            if taken or (
                state == SCons.Node.up_to_date and not why.records.has(target)
            ):
                why.ended(each.request, None)

    def _rows(self) -> list[Row]:
        """Return all jobs; a library that was judged to be too bad has failed."""
        rows = {path: self._row(each) for path, each in self._declared.items()}
        for path, each in self._declared.items():
            judged = each.request.judges
            if judged in rows and rows[path].result.status == "failed":
                rows[judged] = rows[judged].failed_by(rows[path])
        return list(rows.values())

    def _row(self, declared: Declared) -> Row:
        step, state = declared.step, _state(declared)
        result = self._result(step, state)
        judged = declared.request.judges is not None and result.status != "not built"
        figures = figures_in(declared.request.sources[0]) if judged else None
        ran = self.services.journal.this_run(step.target) is not None
        before = self.services.journal.before(step.target) if ran else None
        return Row(step.verb, step.about, result, figures, before, ran)

    def _result(self, step: Step, state: int) -> Result:
        ran = self.services.journal.this_run(step.target)
        if ran:
            return ran
        last = self.services.journal.latest(step.target)
        if state != SCons.Node.up_to_date:
            return Result(step.target, "not built")
        if last is None or last.status not in ("built", "cached"):
            return Result(step.target, "up to date")
        return last.unchanged()

    def _sweep(self) -> None:
        """After a clean: remove our own files and the folders that are empty."""
        targets = [
            self._top / path for each in self._declared.values() for path in _own(each)
        ]
        self._manifest(())
        records = self.services.why.records
        targets += [records.path(each.step.target) for each in self._declared.values()]
        if not any(path.exists() for path in targets):
            own = (
                self.folders.build / name
                for name in (_STAMP, JOURNAL, _LOCK, provenance.HASHES)
            )
            kept = self.folders.build / STANDING
            reports = documents.paths(self.folders.output)
            for path in (*reports, *own, *kept.glob("*")):
                path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                kept.rmdir()
        for folder in _folders(targets, (self.folders.output, self.folders.build)):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _own(declared: Declared) -> tuple[str, ...]:
    """Return what a step made for its own build."""
    step = declared.step
    return (step.log,) if declared.request.is_shared else (*step.targets, step.log)


def _is_done(row: Row) -> bool:
    return row.result.status in _DONE


def _state(declared: Declared) -> int:
    nodes = declared.nodes
    return int(nodes[0].get_state() if nodes else SCons.Node.up_to_date)


def _code() -> str:
    """Return what else than requests decides on what SCons does: versions, sources."""
    own = inputs.sources("package", "scons")
    return f"{own} SCons {SCons.__version__} Python {sys.version}"


def _folders(files: Iterable[Path], roots: tuple[Path, ...]) -> list[Path]:
    """Return the folders of ``files`` up to the ``roots``, the deepest first."""
    parents = {parent for file in files for parent in file.parents}
    below = {each for each in parents if any(root in each.parents for root in roots)}
    return sorted(below | {*roots}, key=lambda path: len(path.parts), reverse=True)


@cache
def session(top: Path, folders: Folders, mode: Mode, caching: Settings) -> Session:
    """Return the session of this process for ``folders``."""
    return Session(top, folders, mode, caching)


@cache
def _known(build: Path) -> dict[Path, Declared]:
    """Return the steps of all sessions with one build folder, by target."""
    del build
    return {}


@cache
def _services(top: Path, build: Path, mode: Mode, caching: Settings) -> Services:
    """Return what all sessions with one build folder share, its lock above all."""
    chosen = policy(os.environ)
    console = Console(mode.silent)
    changes = (mode.builds or mode.cleans) and not mode.plans
    held = [lock.acquire(build / _LOCK, console)] if changes else []
    executor = LocalExecutor(build / _SCRATCH, held)
    if changes:
        executor.clear()
    if mode.builds:
        executor.stop_on_signals()
    journal, why = Journal(build / JOURNAL), Why(Records(top, build), chosen)
    if journal.unread:
        lost = f"{journal.unread} lines cannot be read, and are passed over"
        console.error(f"warning: {os.path.relpath(journal.path, top)}: {lost}")
    cache = open_cache(caching, lambda text: console.error(f"warning: {text}"))
    drawn = mode.builds and not mode.silent and draws(sys.stdout)
    screen = Screen(lambda: totals(_wanted(build), journal)) if drawn else None
    limit = available if mode.memory is None else lambda: mode.memory
    memory = Memory(limit, lambda: executor.stopped)
    lanes = Lanes()
    return Services(
        executor, journal, console, chosen, lanes, memory, why, cache, screen
    )


@cache
def _wanted(build: Path) -> tuple[Any, ...]:
    """Return a node of each step that the run was asked for."""
    all_of_them = asked()
    nodes = (each.nodes[0] for each in _known(build).values() if each.nodes)
    return tuple(node for node in nodes if node in all_of_them)
