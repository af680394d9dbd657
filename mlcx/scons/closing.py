"""How a build closes: its report, the table on the screen, its manifest, its records.

What is not known by then is not found out: all of it comes from the journal of the
steps that ran and from the states of the nodes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import SCons.Node

from mlcx.artifact import MANIFEST
from mlcx.manifest.statement import is_foreign
from mlcx.reasons.standing import Standing
from mlcx.report import documents
from mlcx.report.journal import JOURNAL, Result
from mlcx.report.run import Row, Run, figures_in, summary
from mlcx.scons import database, ending
from mlcx.scons.declared import SCRIPT, VALID, Declared, Mode, Steps
from mlcx.scons.former import Former
from mlcx.scons.step import Services, Step
from mlcx.steps.parts import leftovers
from mlcx.steps.requests import Folders, Request

__all__ = ["Closing"]

_DONE = {"built", "up to date", "cached"}


@dataclass(frozen=True)
class Closing:
    """The end of one run in one output folder."""

    top: Path
    """The folder that SCons runs in."""
    folders: Folders
    mode: Mode
    services: Services
    declared: Steps
    specs: Mapping[str, Sequence[Request]]
    """What each spec asks for, by its name."""

    def close(
        self, started: float, asked: Collection[str], standing: Standing | None
    ) -> None:
        """Write down and say how the build went; what fails makes the run fail.

        Args:
            started: Seconds since 1970.
            asked: Targets that the command line is about.
            standing: Keeps how all stands when all is done; None: nothing is kept.
        """
        with ending.failing(self.services.reporter):
            self._adopt()
            for file in leftovers(self._written()):
                file.unlink(missing_ok=True)
        rows = self._rows()
        self._report(rows, started)
        notes: list[str] = []
        with ending.failing(self.services.reporter):
            done = {row.result.target for row in rows if _is_done(row)}
            notes += self.renew_manifest(done)
            if standing is not None and all(map(_is_done, rows)):
                standing.keep()
        # Last, as nobody may be listening any more.
        told = [row for row in rows if row.result.target in asked]
        self._table(told)
        shown = os.path.relpath(documents.paths(self.folders.output)[0], self.top)
        for note in (summary(told, shown), *notes):
            self.services.reporter.note(note)
        with ending.failing(self.services.reporter):
            self._warn()

    def _warn(self) -> None:
        """Say what lies among the products that a spec no longer makes."""
        former = Former(self.top, self.folders, self.services.why.records)
        for name, spec in former.left(self.specs):
            made = "is no longer made by" if spec in self.specs else "was made by"
            there = "" if spec in self.specs else ", which is gone"
            text = f"{name} {made} {spec}{there}: remove it, or it ships"
            self.services.reporter.error(f"warning: {text}")

    def renew_manifest(self, done: Set[str]) -> list[str]:
        """Write the manifest that was asked for, or renew one that is there.

        Of a spec of which something is not ``done``, nothing is listed. A file of that
        name that no build has written stays as it is.

        Returns:
            What to say of it.
        """
        path = self.folders.output / MANIFEST
        if not (self.mode.manifest or path.exists()) or is_foreign(path):
            return []
        from mlcx.scons import provenance  # noqa: PLC0415 (most builds have none)

        asked = self._asked()
        whole = [
            spec for spec, requests in asked.items() if self._targets(requests) <= done
        ]
        return list(provenance.renew(asked, whole, self.folders, self.top))

    def _written(self) -> Iterator[Path]:
        """Yield all files that no other build may be writing now."""
        records = self.services.why.records
        for each in self.declared.values():
            if not each.request.is_shared:
                yield from each.request.targets
            if each.nodes:  # else nobody has been writing it
                yield records.path(each.step.target)
        yield from (*documents.paths(self.folders.output), database.where(self.top))
        yield self.folders.output / MANIFEST
        yield from map(self.folders.build.joinpath, (VALID, JOURNAL))

    def _targets(self, requests: Iterable[Request]) -> set[str]:
        return {self.declared[each.targets[0]].step.target for each in requests}

    def _asked(self) -> dict[str, Sequence[Request]]:
        """Return what each spec asks for, and a script besides."""
        named = {each.targets[0] for asked in self.specs.values() for each in asked}
        others = [
            each.request for path, each in self.declared.items() if path not in named
        ]
        return {**self.specs, **({SCRIPT: others} if others else {})}

    def _adopt(self) -> None:
        """Write down the inputs of what was built without a step, or long ago."""
        why, journal = self.services.why, self.services.journal
        damaged: list[str] = []
        # Where SCons was not told, records stand as all else does.
        for each in (each for each in self.declared.values() if each.nodes):
            state, target = each.state, each.step.target
            taken = state == SCons.Node.executed and not journal.this_run(target)
            lost = state == SCons.Node.up_to_date and not why.records.stands(target)
            if lost and why.records.has(target):
                damaged.append(why.records.name(why.records.path(target)))
            if taken or lost:
                why.ended(each.request, None)
            elif state == SCons.Node.up_to_date:
                why.looked_again(each.request)
        if damaged:
            more = f" and {len(damaged) - 1} more" if damaged[1:] else ""
            text = f"{damaged[0]}{more} damaged: written anew, of what is there now"
            self.services.reporter.error(f"warning: {text}")

    def _report(self, rows: Sequence[Row], started: float) -> None:
        run = Run(started, time.time() - started, tuple(rows))
        with ending.failing(self.services.reporter):
            documents.write(run, self.folders.output, self.top)
            self.services.journal.compact()

    def _table(self, rows: Sequence[Row]) -> None:
        """Show what became of each step, when one has run."""
        if any(row.ran for row in rows) and not self.mode.silent:
            # What lays tables out takes as long to load as half of a null build.
            from mlcx.report.closing import closing  # noqa: PLC0415
            from mlcx.scons.screen import width  # noqa: PLC0415

            self.services.reporter.lines(closing(rows, width(sys.stdout)))

    def _rows(self) -> list[Row]:
        """Return all jobs; a library that was judged to be too bad has failed."""
        rows = {path: self._row(each) for path, each in self.declared.items()}
        for path, each in self.declared.items():
            judged = each.request.judges
            if judged in rows and rows[path].result.status == "failed":
                rows[judged] = rows[judged].failed_by(rows[path])
        return list(rows.values())

    def _row(self, declared: Declared) -> Row:
        step, journal = declared.step, self.services.journal
        result = self._result(step, declared.state)
        judged = declared.request.judges is not None and result.status != "not built"
        figures = figures_in(declared.request.sources[0]) if judged else None
        ran = journal.this_run(step.target) is not None
        before = journal.before(step.target) if ran else None
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


def _is_done(row: Row) -> bool:
    return row.result.status in _DONE
