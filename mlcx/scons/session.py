"""One run of SCons in one output folder: its locks, its steps and how it closes."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import SCons
import SCons.Script

from mlcx.errors import UsageError
from mlcx.policy import policy
from mlcx.progress import draws
from mlcx.reasons.hashes import Hashes
from mlcx.reasons.record import Records, look
from mlcx.reasons.standing import CLOCK, Standing
from mlcx.reasons.standing import FOLDER as STANDING
from mlcx.reasons.why import Why
from mlcx.report.journal import JOURNAL, Journal
from mlcx.scons import database, ending, lock
from mlcx.scons.asked import asked, totals
from mlcx.scons.closing import Closing
from mlcx.scons.declared import VALID, Declared, Mode
from mlcx.scons.executor import LocalExecutor
from mlcx.scons.hashing import Hashing
from mlcx.scons.interrupts import interrupts
from mlcx.scons.lanes import Lanes
from mlcx.scons.memory import Memory
from mlcx.scons.progress import Console
from mlcx.scons.step import Services, Step
from mlcx.share import available
from mlcx.signature import inputs
from mlcx.spec.resolve import hub_settings
from mlcx.steps.places import Places
from mlcx.steps.requests import Folders, Request
from mlcx.store.settings import Settings, open_cache
from mlcx.toolchain.needs import report

if TYPE_CHECKING:
    from mlcx.scons.screen import Screen

__all__ = ["SCRATCH", "Session", "session"]

SCRATCH = "tmp"
"""In the build folder: for the temporary files of steps."""


class Session:
    """All that is declared for one output folder and one build folder."""

    def __init__(
        self, top: Path, folders: Folders, mode: Mode, caching: Settings
    ) -> None:
        """Wait for the locks of both folders when the run changes anything."""
        self.folders = folders
        self.mode = mode
        self.services = _services(top, folders.build, mode, caching)
        if mode.changes:
            reporter = self.services.reporter
            lock.locks().acquire_output(folders.output, reporter)
        self.specs: dict[str, list[Request]] = {}
        """What each spec asks for, by its name."""
        self.places = Places(folders.build)
        """Of the models that a script names itself."""
        self.remains: list[str] = []
        """What this build cannot make, to say at its end."""
        self._top = top
        self._known = _known(folders.build)
        self._declared: dict[Path, Declared] = {}
        self._standing: Standing | None = None
        self._started = time.time()
        notes = (folders.build / VALID, folders.build / STANDING / CLOCK)
        self._new = [path for path in notes if not path.exists()]
        if mode.builds or mode.cleans or mode.plans:
            atexit.register(self._close)

    @property
    def stamp(self) -> Path | None:
        """A file that remembers which specs were found valid."""
        return self.folders.build / VALID if self.mode.builds else None

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
        build, code, records = self.folders.build, _code(), self._records
        standing = Standing(build, name, wanted, code, signs, records)
        if standing.holds():
            for request in wanted:
                self.add(Declared(request, self.step(request), ()))
            return True
        self.services.why.held.doubted |= standing.doubts()
        self._standing = standing
        self.services.watching.append(standing)
        standing.look()
        return False

    def _records(self, requests: Iterable[Request]) -> Iterator[Path]:
        """Yield the files that say what ``requests`` were last made from."""
        records = self.services.why.records
        for request in requests:
            yield records.path(records.name(request.targets[0]))
        yield from records.shared()

    def step(self, request: Request) -> Step:
        """Return the step that does ``request``."""
        name = self.services.why.records.name
        targets = tuple(map(name, request.targets))
        named = "_".join((request.verb, request.subject, *request.options[1:2]))
        first = named.replace("/", "_") if request.subject else targets[0].strip("/")
        log = name(self.folders.build / "log" / f"{first}.log")
        about, lacks = request.about, report(request.lacks)
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
        try:
            self._end()
        except Exception:
            ending.fail()  # after which Python would end well
            raise

    def _end(self) -> None:
        if self.services.screen is not None:
            self.services.screen.stop()
        if ending.refused():  # what was to be done is not known
            self._leave_nothing()
        elif self.mode.plans:
            if not interrupts().happened:
                self._plan()
        elif self.mode.cleans:
            for note in self._closing().renew_manifest(frozenset()):
                self.services.reporter.note(note)
            from mlcx.scons.sweep import sweep  # noqa: PLC0415 (rarely needed)

            records, steps = self.services.why.records, self._declared.values()
            sweep(self._top, self.folders, records, steps)
        elif any(each.state for each in self._declared.values()):
            unseen = {
                each.step.target for each in self._declared.values() if not each.nodes
            }
            asked = self._names() | unseen
            self._closing().close(self._started, asked, self._standing)
            for text in dict.fromkeys(self.remains):
                self.services.reporter.note(text)

    def _leave_nothing(self) -> None:
        """Remove what has been written before anything was begun."""
        for path in self._new:
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            (self.folders.build / STANDING).rmdir()

    def _closing(self) -> Closing:
        return Closing(
            self._top,
            self.folders,
            self.mode,
            self.services,
            self._declared,
            self.specs,
        )

    def _plan(self) -> None:
        """Say what a build would do with all that was asked for."""
        names = self._names()
        if self.mode.cleans or self.mode.silent or not names:
            return
        # What lays tables out takes as long to load as half of a null build.
        from mlcx.scons.telling import told  # noqa: PLC0415

        declared = [each.request for each in self._declared.values()]
        text = told(self._top, self.folders, self.services, declared, names)
        self.services.reporter.lines(text)

    def _names(self) -> set[str]:
        """Return the targets that the command line asks for, with all they need."""
        return {node.get_internal_path() for node in _wanted(self.folders.build)}


def _code() -> str:
    """Return what else than requests decides on what SCons does: versions, sources."""
    own = inputs.sources("package", "scons")
    return f"{own} SCons {SCons.__version__} Python {sys.version}"


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
    executor = LocalExecutor(build / SCRATCH, lambda: lock.locks().descriptors)
    if mode.changes:
        lock.locks().acquire(build / lock.BUILD, console)
        executor.clear()
    interrupts().stop(executor)
    journal, records = Journal(build / JOURNAL), Records(top, build)
    if journal.unread:
        lost = f"{journal.unread} lines cannot be read, and are passed over"
        console.error(f"warning: {os.path.relpath(journal.path, top)}: {lost}")
    cache = open_cache(caching, lambda text: console.error(f"warning: {text}"))
    drawn = mode.builds and not mode.silent and draws(sys.stdout)
    screen = _screen(build, journal) if drawn else None
    watch = Hashing(records.name, console, screen, lambda: executor.stopped).watch
    hashes = Hashes(watch)
    why = Why(records, chosen, partial(look, digest=hashes.of))
    lanes, memory = _shares(mode.memory)
    return Services(
        executor, journal, console, chosen, lanes, memory, why, hashes, cache, screen
    )


def _screen(build: Path, journal: Journal) -> Screen:
    # On no terminal a build gets by without it.
    from mlcx.scons.screen import Screen  # noqa: PLC0415

    return Screen(lambda: totals(_wanted(build), journal))


@cache
def _shares(most: float | None) -> tuple[Lanes, Memory]:
    """Return what all steps of this process share, whatever folder they build in."""

    def stopped() -> bool:
        return interrupts().happened

    jobs = partial(SCons.Script.GetOption, "num_jobs")
    limit = available if most is None else lambda: most
    return Lanes(jobs, stopped), Memory(limit, stopped)


@cache
def _wanted(build: Path) -> tuple[Any, ...]:
    """Return a node of each step that the run was asked for."""
    all_of_them = asked()
    nodes = (each.nodes[0] for each in _known(build).values() if each.nodes)
    return tuple(node for node in nodes if node in all_of_them)
