"""A step: one verb's command, run for SCons, its outcome written down.

A step stands in for SCons' ``SPAWN``: it gets the words of the command as SCons made
them, and no shell ever sees them.
"""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from SCons.Errors import BuildError
from SCons.Taskmaster.Job import interrupt_msg

from mlcx.errors import MlcxError, said
from mlcx.policy import VARIABLE, Policy
from mlcx.reasons.changes import summary
from mlcx.reasons.hashes import Hashes
from mlcx.reasons.standing import Standing
from mlcx.reasons.why import Why
from mlcx.report.journal import Journal, Result, measure
from mlcx.report.units import size
from mlcx.scons.executor import Executor, Outcome, tail, warnings
from mlcx.scons.lanes import Lanes, replaced
from mlcx.scons.memory import Memory
from mlcx.scons.progress import Reporter
from mlcx.scons.shared import Shared
from mlcx.scons.signs import sign
from mlcx.spec.resolve import hub_settings
from mlcx.steps.about import About
from mlcx.steps.parts import fault, leftovers
from mlcx.steps.requests import Request
from mlcx.store.cache import Cache

if TYPE_CHECKING:
    from mlcx.scons.screen import Screen

__all__ = ["Services", "Step"]

_QUOTED = 12
"""Lines of the log that a failure quotes."""


@dataclass(frozen=True)
class Services:
    """What the steps of a build share."""

    executor: Executor
    journal: Journal
    reporter: Reporter
    policy: Policy
    lanes: Lanes
    memory: Memory
    why: Why
    hashes: Hashes
    cache: Cache | None = None
    """What other builds made; None: there is none."""
    screen: Screen | None = None
    """Where it is drawn what runs; None: on no terminal."""
    watching: list[Standing] = field(default_factory=list)
    """Is told when a step has made its files."""


@dataclass(frozen=True)
class Step:
    """The command that makes ``targets``, the first of which names the job.

    Paths are relative to the folder of the build, which is the current one when SCons
    runs a step.
    """

    verb: str
    targets: tuple[str, ...]
    log: str
    about: About
    services: Services
    request: Request
    lacks: str = ""
    """The tools that are missing for it, with their remedies."""

    @property
    def target(self) -> str:
        """The file that names the job."""
        return self.targets[0]

    def why(
        self, target: object, source: object, env: object, for_signature: bool
    ) -> str:
        """Return, for the line that a build prints of this, why it runs; for SCons."""
        if for_signature:
            return ""
        return f"  ({summary(self.services.why.found(self.request))})"

    @property
    def takes_cached(self) -> bool:
        """Whether it will do with what another build made."""
        return not self.services.policy.redoes(self.verb)

    @cached_property
    def is_held(self) -> bool:
        """Whether it is a download of what is here, by an earlier one of any build."""
        from mlcx.steps.disk import held  # noqa: PLC0415 (no null build needs it)

        return not hub_settings().policy.always and held(self.request)

    @cached_property
    def shared(self) -> Shared | None:
        """What it shares with other builds; None: nothing.

        Asked for when the step is about to run, so that its sources are there.
        """
        services = self.services
        digest = services.hashes.of
        return Shared.of(services.cache, self.request, self.takes_cached, digest)

    def cached(self, seconds: float) -> None:
        """Note that all targets came from the cache.

        Raises:
            OSError, MlcxError: That cannot be written down; the targets are there.
        """
        self._remove_leftovers()
        self._sign()
        size, digest = measure(map(Path, self.targets))
        result = Result(self.target, "cached", round(seconds, 3), size, digest)
        self._ended(None)
        self.services.journal.add(result)

    def __call__(
        self,
        shell: str,
        escape: object,
        program: str,
        words: Sequence[object],
        environ: Mapping[str, str],
    ) -> int:
        """Run the command ``words``, as SCons' ``SPAWN``; return its exit status."""
        try:
            refusal = self._refusal()
            if refusal:
                return self._failed(refusal, refusal)
            command, shared = [str(word) for word in words], self.shared
            if shared is None:
                return self._in_lane(command, environ)
            place = contextlib.ExitStack()
            with place, shared.making(self._waiting(place)):
                place.close()
                return self._alone(shared, command, environ)
        except (OSError, MlcxError) as error:
            # The step may have gone well, but what is known of it is not written down.
            text = self.services.why.records.within(said(error))
            with contextlib.suppress(OSError, MlcxError):
                return self._failed(text, f"{self.verb} {self.target}: {text}")
            return 1

    def _failed(self, error: str, message: str) -> int:
        """Note that the step failed without having run; return its exit status."""
        self.services.reporter.error(message)
        self.services.journal.add(Result(self.target, "failed", 0.0, error=error))
        return 1

    def _shown(self, lane: int) -> contextlib.AbstractContextManager[Mapping[str, str]]:
        """Show this while it runs; yields what its environment needs for that."""
        screen, before = self.services.screen, self.services.journal.before(self.target)
        if screen is None:
            return contextlib.nullcontext({})
        about = str(replace(self.about, overrides=None)) or self.target
        seconds = None if before is None else before.seconds
        return screen.showing(lane, self.verb, about, Path(self.log), seconds)

    def _waiting(self, place: contextlib.ExitStack) -> Callable[[], bool]:
        """Return what is called while an equal step runs.

        The first time it says so, and lets others work in its place until that closes.
        """
        noted: list[str] = []

        def waiting() -> bool:
            if not noted:
                noted.append(f"{self.target} waits for an equal one that is being made")
                self.services.reporter.note(noted[0])
                place.enter_context(replaced())
            return self.services.executor.stopped

        return waiting

    def _alone(
        self, shared: Shared, command: list[str], environ: Mapping[str, str]
    ) -> int:
        """Run ``command`` unless what it makes is there by now, and store that."""
        begin = time.monotonic()
        if shared.take_near():
            self.cached(time.monotonic() - begin)
            text = f"{self.target} taken from the cache: an equal one is made by now"
            self.services.reporter.note(text)
            return 0
        status = self._in_lane(command, environ)
        if status == 0 and not shared.put():
            text = f"{self.target} is not stored in the cache: a source changed while"
            self.services.reporter.note(f"{text} it was made")
        return status

    def _in_lane(self, command: list[str], environ: Mapping[str, str]) -> int:
        services = self.services
        with (
            services.memory.holding(self._memory(), self._say_that_it_waits),
            services.lanes.one() as lane,
            self._shown(lane) as told,
        ):
            return self._measured(command, {**environ, **told}, lane)

    def _memory(self) -> int:
        """Return the bytes of memory that it took the last time, or will about take."""
        before = self.services.journal.before(self.target)
        if before is not None and before.peak_memory:
            return before.peak_memory
        from mlcx.steps.memory import memory  # noqa: PLC0415 (at first only)

        return memory(self.request)

    def _say_that_it_waits(self, held: int, limit: float) -> None:
        need, rest = size(self._memory()), f"{size(held)} of {size(limit)} are taken"
        text = f"{self.target} waits for memory: it needs {need}, {rest}"
        self.services.reporter.note(text)

    def _measured(
        self, command: list[str], environ: Mapping[str, str], lane: int
    ) -> int:
        """Run ``command`` and keep how it went, and when; return its exit status."""
        with contextlib.suppress(BuildError):  # then it will not run either
            self.services.why.found(self.request)
            self._sign()
        started, begin = time.time(), time.monotonic()
        outcome, error = self._run(command, environ)
        result = Result(
            self.target,
            "interrupted",
            round(time.monotonic() - begin, 3),
            log=self.log,
            started=round(started, 3),
            peak_memory=outcome.peak_memory,
            lane=lane,
        )
        if error is None:
            size, digest = measure(map(Path, self.targets))
            result = replace(result, status="built", bytes=size, sha256=digest)
            self._ended(result.seconds)
            for warning in warnings(Path(self.log)):
                self.services.reporter.error(warning)
        elif not self.services.executor.stopped:
            result = replace(result, status="failed", error=error)
            self.services.reporter.error(self._message(outcome.status, error, command))
        self.services.journal.add(result)
        if self.services.executor.stopped:  # SCons' own thread may not know yet
            raise BuildError(errstr=interrupt_msg)
        return 0 if error is None else outcome.status or 1

    def _sign(self) -> None:
        """Sign what the step reads as it is before."""
        sign(self.request.sources, self.services.hashes)

    def _ended(self, seconds: float | None) -> None:
        """Write down that all is made, and from what."""
        self.services.why.ended(self.request, seconds)
        for each in self.services.watching:
            each.made(self.request)

    def _refusal(self) -> str:
        policy = self.services.policy
        if not policy.refuses(self.verb):
            return self.lacks or self.services.why.rotten(self.request)
        state = "would have to be compiled"
        if policy is Policy.READONLY:
            state = "is out of date" if Path(self.target).exists() else "is missing"
        return f"{self.target} {state}, and {VARIABLE} is {policy.name}"

    def _run(
        self, command: list[str], environ: Mapping[str, str]
    ) -> tuple[Outcome, str | None]:
        self._remove_leftovers()
        outcome = self.services.executor.run(command, environ, Path(self.log))
        if self.services.executor.stopped:
            return outcome, "interrupted"
        if outcome.status:
            return outcome, "\n".join(tail(Path(self.log), _QUOTED))
        return outcome, _unmade([Path(target) for target in self.targets])

    def _remove_leftovers(self) -> None:
        for file in leftovers([Path(target) for target in self.targets]):
            file.unlink(missing_ok=True)

    def _message(self, status: int, error: str, command: list[str]) -> str:
        quoted = "".join(f"\n    {line}" for line in error.splitlines())
        again = f"cd {shlex.quote(str(Path.cwd()))} && {shlex.join(command)}"
        return (
            f"{self.verb} {self.target} failed with status {status}; "
            f"the end of {self.log}:{quoted}\n"
            f"the same by hand:\n    {again}"
        )


def _unmade(targets: list[Path]) -> str | None:
    """Say what a step that ended well did not make."""
    missing = (f"{path} was not made" for path in targets if not path.exists())
    return next(missing, None) or next(filter(None, map(fault, targets)), None)
