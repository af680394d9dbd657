"""One run of a build: what became of every job, and what to say of it at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from mlcx.artifact import read_json
from mlcx.errors import InputError
from mlcx.report.journal import Result, Status
from mlcx.steps.about import About

__all__ = ["BEYOND", "Row", "Run", "figures_in", "summary"]

BEYOND = "beyond a threshold"
"""What a library is that failed, since measuring it did."""

_STATUSES: tuple[Status, ...] = get_args(Status)


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
    condemned: bool = False
    """Whether it is a library that a verdict failed, which has a row of its own."""

    @property
    def outcome(self) -> str:
        """What became of it, for people."""
        return BEYOND if self.condemned else self.result.status

    @property
    def broke(self) -> bool:
        """Whether its own step failed."""
        return self.result.status == "failed" and not self.condemned

    def to_dict(self) -> dict[str, object]:
        """Return this flat, ready for JSON."""
        flat = {"verb": self.verb, **vars(self.result), **vars(self.about)}
        flat["ran"] = self.ran
        if self.before is not None:
            names = ("seconds", "bytes", "sha256", "peak_memory")
            flat["before"] = {name: getattr(self.before, name) for name in names}
        return flat if self.figures is None else {**flat, "figures": self.figures}

    @property
    def measured(self) -> str:
        """What a library has lost, for people; empty when it was not measured."""
        kl, top1 = ((self.figures or {}).get(name) for name in ("mean_kl", "top1"))
        if not (isinstance(kl, float) and isinstance(top1, float)):
            return ""
        return f"mean KL {kl:.3g} nats per token, top-1 {100 * top1:.1f} %"

    def failed_by(self, verdict: Row) -> Row:
        """Return this row of a library on which the ``verdict`` is that it failed."""
        log, error = verdict.result.log, verdict.result.error
        result = replace(self.result, status="failed", log=log, error=error)
        figures = verdict.figures
        return replace(self, result=result, figures=figures, condemned=True)


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

    def outcomes(self) -> dict[str, int]:
        """Return the same for people, who hear of a failure once."""
        return _outcomes(self.rows)


def figures_in(file: Path) -> Mapping[str, object] | None:
    """Return what was measured, and written to ``file``; None: nothing to be read."""
    try:
        figures = read_json(file).get("figures")
    except InputError:
        return None
    return figures if isinstance(figures, dict) else None


def summary(rows: Sequence[Row], report: str) -> str:
    """Return what a person wants to know at the end of a build."""
    shown = [f"{count} {outcome}" for outcome, count in _outcomes(rows).items()]
    failed = [f"failed: {_failure(row)}" for row in rows if row.broke]
    measured = [
        f"{row.result.target}: {row.measured}"
        for row in rows
        if row.ran and row.measured and row.result.status != "failed"
    ]
    return "\nmlcx: ".join([*measured, *failed, f"{', '.join(shown)}, see {report}"])


def _outcomes(rows: Sequence[Row]) -> dict[str, int]:
    found = Counter(row.outcome for row in rows)
    return {each: found[each] for each in (*_STATUSES, BEYOND) if found[each]}


def _failure(row: Row) -> str:
    about = f" ({row.about})" if str(row.about) else ""
    # There is no log when no step ran.
    why = row.result.log or row.result.error
    return f"{row.verb} {row.result.target}{about}: {why}"
