"""The table at the end of a build: what ran, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from mlcx.report.journal import Status
from mlcx.report.run import Row
from mlcx.report.table import Heading, Line, table
from mlcx.report.units import duration, size

__all__ = ["MOST", "closing"]

MOST = 20
"""Lines of steps that went well; the report has them all."""

_ORDER: tuple[Status, ...] = ("built", "cached", "interrupted", "not built", "failed")
"""What needs a person is last, next to the prompt."""

_STYLES: dict[Status, str] = {
    "built": "green",
    "cached": "cyan",
    "interrupted": "yellow",
    "not built": "yellow",
    "failed": "bold red",
}

_HEADINGS = (
    Heading("status"),
    Heading("time", right=True),
    Heading("size", right=True),
)


def closing(rows: Sequence[Row], width: int | None) -> str:
    """Return what became of all that was not up to date, the longest steps first.

    Args:
        rows: All of the report.
        width: Columns of the terminal; None: it is none.
    """
    went_well = _of(rows, _ORDER[:2])
    others = _of(rows, _ORDER[2:])
    shown = table(_HEADINGS, [*map(_line, (*went_well[:MOST], *others))], width)
    rest = len(went_well) - MOST
    return shown if rest <= 0 else f"{shown}and {rest} steps that were shorter\n"


def _of(rows: Sequence[Row], statuses: Sequence[Status]) -> list[Row]:
    found = [row for row in rows if row.result.status in statuses]
    return sorted(found, key=_rank)


def _rank(row: Row) -> tuple[int, float]:
    return _ORDER.index(row.result.status), -(row.result.seconds or 0.0)


def _line(row: Row) -> Line:
    result = row.result
    seconds = duration(result.seconds) if row.ran else ""
    made = size(result.bytes) if row.ran else ""
    cells = (row.outcome, seconds, made)
    return Line(row.verb, row.about, cells, _STYLES[result.status])
