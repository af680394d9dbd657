"""What runs now, in the last lines of a terminal, for as long as a build runs steps.

Elsewhere there is no screen, and a build prints plain lines only.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

from mlcx.progress import VARIABLE, draws

if TYPE_CHECKING:
    from mlcx.scons.drawing import Drawing

__all__ = ["Running", "Screen", "Totals", "width"]


class Totals(NamedTuple):
    """How many of the jobs that were asked for are done with, and how many failed."""

    done: int
    failed: int
    total: int


@dataclass(frozen=True)
class Running:
    """A step that runs."""

    verb: str
    about: str
    log: Path
    told: Path
    """Where it says how far it is."""
    before: float | None
    """Seconds that it took the last time; None: not known."""
    begun: float = field(default_factory=time.monotonic)


class Screen:
    """Draws from the first step on; may be called from any thread."""

    def __init__(self, totals: Callable[[], Totals]) -> None:
        self._totals = totals
        self._guard = threading.Lock()
        self._running: dict[int, Running] = {}
        self._drawing: Drawing | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @contextlib.contextmanager
    def showing(
        self, lane: int, verb: str, about: str, log: Path, before: float | None
    ) -> Iterator[Mapping[str, str]]:
        """Show a step while the context lasts; yield what its environment needs."""
        told = self._begin() / str(lane)
        self._running[lane] = Running(verb, about, log, told, before)
        try:
            yield {VARIABLE: str(told)}
        finally:
            del self._running[lane]
            told.unlink(missing_ok=True)

    def stop(self) -> None:
        """Leave the terminal as it was; for good."""
        with self._guard:
            if self._drawing is not None:
                self._drawing.stop()
            if self._folder is not None:
                self._folder.cleanup()
            self._drawing = self._folder = None

    def _begin(self) -> Path:
        """Draw from now on; return the folder in which steps say how far they are."""
        # What draws takes as long to load as half of a build with nothing to do.
        from mlcx.scons.drawing import Drawing  # noqa: PLC0415

        with self._guard:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="mlcx-")
                self._drawing = Drawing(sys.stdout, self._now, self._totals)
            return Path(self._folder.name)

    def _now(self) -> tuple[Running, ...]:
        return tuple(sorted(self._running.copy().values(), key=lambda each: each.begun))


def width(stream: TextIO) -> int | None:
    """Return the columns of a terminal; None: ``stream`` gets plain lines only."""
    return shutil.get_terminal_size().columns if draws(stream) else None
