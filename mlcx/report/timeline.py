"""When the steps of a run ran, and beside which others: bars in lanes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlcx.report.journal import Result
from mlcx.report.run import Row
from mlcx.report.units import duration

__all__ = ["Bar", "Timeline", "timeline"]

_TICKS = 8
_THIN = 0.25
"""Percent of the width that a bar has at least, so that it can be seen."""


@dataclass(frozen=True)
class Bar:
    """A step; lengths are percents of the whole width."""

    row: Row
    left: float
    width: float
    lane: int
    hue: int
    """Which of the colours, one for each verb."""


@dataclass(frozen=True)
class Timeline:
    """All that ran."""

    bars: tuple[Bar, ...]
    lanes: int
    ticks: tuple[tuple[float, str], ...]
    """Where on the axis, in percent, and what stands there."""
    verbs: tuple[str, ...]
    """In the order of their colours."""


def timeline(rows: Sequence[Row]) -> Timeline:
    """Return the steps of ``rows`` that ran in this run."""
    ran = [row for row in rows if row.ran and row.result.started is not None]
    if not ran:
        return Timeline((), 0, (), ())
    begin = min(_begin(row.result) for row in ran)
    span = max(_begin(row.result) + _seconds(row.result) for row in ran) - begin
    span = max(span, 0.001)
    verbs = tuple(dict.fromkeys(row.verb for row in ran))
    bars = tuple(_bar(row, begin, span, verbs.index(row.verb)) for row in ran)
    lanes = max(bar.lane for bar in bars) + 1
    return Timeline(bars, lanes, _ticks(span), verbs)


def _bar(row: Row, begin: float, span: float, hue: int) -> Bar:
    left = (_begin(row.result) - begin) / span * 100
    width = max(_seconds(row.result) / span * 100, _THIN)
    return Bar(row, min(left, 100 - _THIN), width, row.result.lane or 0, hue)


def _begin(result: Result) -> float:
    return result.started or 0.0


def _seconds(result: Result) -> float:
    return result.seconds or 0.0


def _ticks(span: float) -> tuple[tuple[float, str], ...]:
    """Return some round times between the begin and the end."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)
    days = (7200, 14400, 43200, 86400)
    step = next((each for each in (*steps, *days) if span / each <= _TICKS), span)
    times = (number * step for number in range(int(span / step) + 1))
    return tuple((time / span * 100, _label(time)) for time in times)


def _label(seconds: float) -> str:
    return duration(seconds) if seconds >= 60 else f"{seconds:g} s"
