"""Ends the steps of a build whose process is gone, however that happened.

A small process waits at the end of a pipe that only the build holds open. It is told
which steps run; when the pipe closes, it ends those. It is one of its own, since a step
that is busy in a compiler may look at nothing for minutes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterable

__all__ = ["GRACE", "Watchdog"]

GRACE = 1.0
"""Seconds that a step has to clean up after itself when its build is gone."""


class Watchdog:
    """Of one build; its process is started with the first step."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Watch from now on, before there is a step.

        Raises:
            OSError: No process can be started.
        """
        if self._process is None:
            # The file itself, alone: all of the package takes ten times as long.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,
            )
            weakref.finalize(self, _dismiss, self._process)

    def began(self, group: int) -> None:
        """Take note of a step that runs in the process group ``group``."""
        self._tell(f"+{group}\n")

    def ended(self, group: int) -> None:
        """Forget a step: another process may get its number."""
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # somebody has killed it
            self._process.stdin.write(line.encode())


def _dismiss(process: subprocess.Popen[bytes]) -> None:
    """Let it end when no build needs it any more."""
    assert process.stdin is not None
    process.stdin.close()
    process.wait()


def _watch(lines: Iterable[bytes]) -> None:
    """End what runs when there are no more ``lines``."""
    running: set[int] = set()
    for line in lines:
        change = running.add if line[:1] == b"+" else running.discard
        change(int(line[1:]))
    _signal(running, signal.SIGINT)
    deadline = time.monotonic() + GRACE
    while _signal(running, 0) and time.monotonic() < deadline:
        time.sleep(0.02)
    _signal(running, signal.SIGKILL)


def _signal(groups: Iterable[int], number: int) -> bool:
    """Send a signal to ``groups``; return whether one of them is still there."""
    there = False
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
            there = True
    return there


if __name__ == "__main__":
    _watch(sys.stdin.buffer)
    os._exit(0)  # there is nothing to clean up
