"""What a build would do with each target, and why, without starting one."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePath
from typing import Literal

from mlcx.artifact import COMPILE_CONFIG
from mlcx.errors import UsageError
from mlcx.policy import Policy, policy
from mlcx.reasons.changes import OPEN, Change
from mlcx.reasons.record import Record, Records
from mlcx.reasons.why import Why
from mlcx.scons.database import where
from mlcx.scons.signs import signed
from mlcx.spec import load
from mlcx.spec.origin import origin
from mlcx.spec.resolve import local
from mlcx.spec.source import Source
from mlcx.steps.about import About
from mlcx.steps.everything import everything
from mlcx.steps.parts import made_beside
from mlcx.steps.requests import Folders, Request

__all__ = ["Explainer", "State", "Unsigned", "Verdict", "explainer", "located"]

State = Literal["up to date", "to build", "perhaps"]
"""Perhaps: what it is made from is made again first, and may come out as it was; or
there is no record to tell by."""


@dataclass(frozen=True)
class Verdict:
    """What a build would do with the target of a request, and why."""

    target: str
    request: Request
    state: State
    changes: tuple[Change, ...]
    behind: tuple[Verdict, ...]
    """What would, or might, be made again first, of what it is made from."""
    last: Record | None
    """Of the build that made it as it is."""


class Explainer:
    """Knows the requests of some specs, and what builds left in a folder."""

    def __init__(
        self, top: Path, folders: Folders, policy: Policy, asked: Iterable[Request]
    ) -> None:
        """Take the folder ``top`` in which builds run, and all that they would do."""
        self._unsigned = Unsigned(top)
        self._why = Why(Records(top, folders.build), policy)
        self.requests = tuple({each.targets[0]: each for each in asked}.values())
        self._makers = {path: each for each in self.requests for path in each.targets}
        self._found: dict[Path, Verdict] = {}
        for request in self.requests:
            self._why.know(request)

    def verdict(self, request: Request) -> Verdict:
        """Return what a build would do with what ``request`` makes."""
        target = request.targets[0]
        if target not in self._found:
            self._found[target] = self._verdict(request)
        return self._found[target]

    def find(self, path: Path) -> list[Request]:
        """Return what makes ``path``: a target, a part beside one, or all in a folder.

        Raises:
            UsageError: Nothing does.
        """
        found = []
        for request in self.requests:
            beside = made_beside(request.targets, request.copied)
            made = {*request.targets, request.output, *beside}
            if path in made or any(path in each.parents for each in made):
                found.append(request)
        if found:
            return found
        name = self._why.records.name(path)
        known = sorted(self._why.records.name(each) for each in self._makers)
        close = difflib.get_close_matches(name, known, n=1)
        hint = f": did you mean {close[0]}?" if close else ""
        if self._why.records.has(name):
            record = self._why.records.name(self._why.records.path(name))
            hint = f"; {record} says what a build made it from, by another or a script"
        raise UsageError(f"{name}: none of the specs makes this file{hint}")

    def _verdict(self, request: Request) -> Verdict:
        makers = (self._makers.get(path) for path in request.sources)
        verdicts = [self.verdict(each) for each in dict.fromkeys(makers) if each]
        behind = tuple(each for each in verdicts if each.state != "up to date")
        changes = self._why.changes(request)
        if not any(change.kind == "new" for change in changes):
            changes = (*changes, *self._unsigned(request))
        state: State = "perhaps" if behind or changes else "up to date"
        name = self._why.records.name(request.targets[0])
        last = self._why.records.read(name)
        if any(change.kind not in OPEN for change in changes):
            state = "to build"
        return Verdict(name, request, state, changes, behind, last)


class Unsigned:
    """Knows which targets SCons has built, by its own database."""

    def __init__(self, top: Path) -> None:
        """Take the folder in which builds run."""
        self._top = top
        self._file = where(top)

    def __call__(self, request: Request) -> Iterator[Change]:
        """Yield that SCons knows nothing of a target of ``request`` that is there."""
        target = request.targets[0]
        if target.exists() and target not in self._signed:
            yield Change("damaged", f"{self._file.name} does not know it")

    @cached_property
    def _signed(self) -> frozenset[Path]:
        return frozenset(self._top / name for name in signed(self._file))


def explainer(specs: Iterable[Path], output: Path, build: Path) -> Explainer:
    """Return what knows all that a build of ``specs`` in this folder would do.

    Raises:
        InputError: A spec is wrong.
    """
    top = Path.cwd()
    folders = Folders(local(top, str(output)), local(top, str(build)))
    plans = [load(spec) for spec in specs]
    asked = (
        request for plan in plans for request in everything(plan, folders, os.environ)
    )
    return Explainer(top, folders, policy(os.environ), asked)


def located(verdict: Verdict, specs: Iterable[Source]) -> Verdict:
    """Return ``verdict`` with the places in ``specs`` where new values are from."""
    sources = tuple(specs)
    last, about = verdict.last, verdict.request.about
    if last is not None:
        last = replace(last, because=_placed(last.because, about, sources))
    return replace(
        verdict,
        changes=_placed(verdict.changes, about, sources),
        behind=tuple(located(each, sources) for each in verdict.behind),
        last=last,
    )


def _placed(
    changes: tuple[Change, ...], about: About, sources: tuple[Source, ...]
) -> tuple[Change, ...]:
    return tuple(
        replace(
            change,
            origin=_origin(change, about, sources),
            because=_placed(change.because, about, sources),
        )
        for change in changes
    )


def _origin(change: Change, about: About, sources: tuple[Source, ...]) -> str:
    made = PurePath(change.name).name == COMPILE_CONFIG
    if about.model is None or change.new is None:
        return ""
    if change.kind != "option" and not (change.kind == "source" and made):
        return ""
    key = (change.field or change.name).rpartition(".")[2]
    found = (
        origin(source, about.model, about.device, key, change.new) for source in sources
    )
    return next(filter(None, found), "")
