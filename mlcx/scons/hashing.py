"""Hashing large files takes minutes: a build shows it, and an interrupt ends it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from SCons.Errors import BuildError
from SCons.Taskmaster.Job import interrupt_msg

from mlcx import progress
from mlcx.report.units import size
from mlcx.scons.progress import Reporter
from mlcx.scons.screen import Screen

__all__ = ["Hashing"]

_SOON = 1.0
"""Seconds after which a terminal shows that a file is hashed."""

_LATE = 5.0
"""Seconds after which a line says so where there is none."""


class Hashing:
    """Looks on while files are hashed, by any thread."""

    def __init__(
        self,
        name: Callable[[Path], str],
        reporter: Reporter,
        screen: Screen | None,
        stopped: Callable[[], bool],
    ) -> None:
        """Call files by ``name``; end the hashing when the build has ``stopped``."""
        self._name, self._reporter = name, reporter
        self._screen, self._stopped = screen, stopped

    @contextlib.contextmanager
    def watch(self, path: Path) -> Iterator[Callable[[int], object]]:
        """Yield what is told how many more bytes of ``path`` are read.

        That raises SCons' BuildError, as SCons does itself, when the build has stopped.
        """
        self._check()
        begin, done = time.monotonic(), 0
        update: Callable[[int], object] | None = None
        with contextlib.ExitStack() as shown:

            def told(count: int) -> None:
                nonlocal done, update
                self._check()
                done += count
                if update is not None:
                    update(count)
                elif time.monotonic() - begin > (_SOON if self._screen else _LATE):
                    update = shown.enter_context(self._shown(path, done))

            yield told

    def _check(self) -> None:
        if self._stopped():
            raise BuildError(errstr=interrupt_msg)

    @contextlib.contextmanager
    def _shown(self, path: Path, done: int) -> Iterator[Callable[[int], object]]:
        about, total = self._name(path), path.stat().st_size
        if self._screen is None:
            self._reporter.note(f"hashing {about}, {size(total)}")
            yield lambda _: None
            return
        lane = -threading.get_ident()  # steps have numbers from 0 on
        with self._screen.showing(lane, "hash", about, Path(os.devnull), None) as told:
            yield progress.bar("hashing", total, done, environ=told).update
