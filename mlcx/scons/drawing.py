"""Lines at the end of a terminal that are drawn again and again: one for each step.

All else that the process prints goes above them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mlcx.progress import Stage, read
from mlcx.report.units import duration, size
from mlcx.scons.executor import tail
from mlcx.scons.screen import Running, Totals

__all__ = ["Drawing", "clock", "count", "doing"]

_PER_SECOND = 5
_WIDE = 100
"""Columns from which on there is room for bars."""

_BAR = 20
_BEFORE = 26
"""Columns of the time and the verb."""

_NARROWEST = 8
"""Columns that what a step is for has at least."""

_LINES = 20
"""Of a log, that are read for the last one: its command may be long."""

_SETTLED = 3.0
"""Seconds after which it can be told how long the rest of some bytes takes."""


class _Terminal(Console):
    """Never hides the cursor, which nobody would show again after a kill."""

    def show_cursor(self, show: bool = True) -> bool:
        """Do nothing; rich calls this when it begins to draw, and at the end."""
        del show
        return False


class Drawing:
    """Draws until it is stopped."""

    def __init__(
        self,
        stream: TextIO,
        running: Callable[[], Sequence[Running]],
        totals: Callable[[], Totals],
    ) -> None:
        """Draw on ``stream`` what ``running`` and ``totals`` return at that time."""
        self._running, self._totals = running, totals
        self._first: dict[Running, tuple[Stage, float]] = {}
        self._console = _Terminal(
            file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True
        )
        self._live = Live(
            get_renderable=self._lines,
            console=self._console,
            refresh_per_second=_PER_SECOND,
            transient=True,
            redirect_stderr=sys.stderr.isatty(),
        )
        self._live.start()

    def stop(self) -> None:
        """Remove what is drawn."""
        self._live.stop()

    def _lines(self) -> RenderableType:
        running, totals = self._running(), self._totals()
        if not running:
            return ""
        width, height = self._console.size
        shown = running[: max(1, height - 3)]
        table = Table.grid(padding=(0, 2, 0, 0), expand=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(no_wrap=True)
        half = max(_NARROWEST, (width - _BEFORE) // 2)
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=half)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for each in shown:
            table.add_row(*self._row(each, bar=width >= _WIDE))
        rest = len(running) - len(shown)
        more = [f"  … and {rest} more"] if rest else []
        return Group(table, *more, Text(f"  {count(totals, len(running))}", "bold"))

    def _row(self, step: Running, bar: bool) -> Iterator[RenderableType]:
        now, stage = time.monotonic(), read(step.told)
        said = doing(stage, step.before, self._rate(step, stage, now)) or _said(step)
        yield clock(now - step.begun).rjust(7)
        yield Text(step.verb, "cyan")
        yield step.about
        if bar and stage is not None and stage.total:
            yield _barred(stage, said)
        else:
            yield said

    def _rate(self, step: Running, stage: Stage | None, now: float) -> float | None:
        """Return how many bytes a step does in a second; None: too early to tell."""
        if stage is None or stage.done is None:
            return None
        first, since = self._first.get(step, (stage, now))
        if first.text != stage.text:
            first, since = stage, now
        self._first[step] = first, since
        if now - since < _SETTLED or first.done is None:
            return None
        return (stage.done - first.done) / (now - since)


def clock(seconds: float) -> str:
    """Return ``seconds`` as a clock shows them, which counts whole ones."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def count(totals: Totals, running: int) -> str:
    """Return how far a build is."""
    failed = f", {totals.failed} failed" if totals.failed else ""
    return f"{totals.done} of {totals.total} done{failed}, {running} running"


def doing(stage: Stage | None, before: float | None, rate: float | None) -> str:
    """Return how far a step is, or at least how long it took the last time.

    Args:
        stage: What it said last, if anything.
        before: Seconds that it took the last time.
        rate: Bytes in a second, where it counts them.
    """
    words = [] if stage is None else [stage.text]
    if stage is not None and stage.done is not None and stage.total:
        words = [f"{size(stage.done)} of {size(stage.total)}"]
        if rate:
            left = (stage.total - stage.done) / rate
            words += [f"{clock(left)} left", f"{size(rate)}/s"]
    if before is not None and rate is None:
        words.append(f"took {duration(before)} last time")
    return ", ".join(words)


def _barred(stage: Stage, said: str) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=_BAR)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_row(ProgressBar(stage.total, stage.done or 0, width=_BAR), said)
    return grid


def _said(step: Running) -> str:
    """Return the last line of a step's log, without what a terminal would obey."""
    try:
        lines = tail(step.log, _LINES)
    except OSError:
        return ""
    if len(lines) < 2:  # its command, which every log begins with
        return ""
    last = lines[-1].rpartition("\r")[2]
    return "".join(filter(str.isprintable, Text.from_ansi(last).plain))
