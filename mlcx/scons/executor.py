"""Run the command of a step as a process of its own.

Behind the three methods of ``Executor`` a step may also run elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mlcx.interpreter import LOGGED
from mlcx.scons.watchdog import Watchdog

__all__ = ["Executor", "LocalExecutor", "Outcome", "tail", "warnings"]

_SPEAKER = "mlcx: "
_WARNING = f"{_SPEAKER}warning: "
"""How a line begins that a person must see."""

_PREFIX = "mlcx-step-"
"""How the names of steps' folders for temporary files begin."""

_GRACE = 3.0
"""Seconds that an interrupted step has to clean up after itself."""


@dataclass(frozen=True)
class Outcome:
    """How the process of a step ended."""

    status: int
    peak_memory: int | None = None
    """Most bytes of memory that one process of the step had; None: not known.

    Never less than this process has had itself, since Linux counts what a child is
    before it becomes the command.
    """


class Executor(Protocol):
    """Where the steps of a build run."""

    @property
    def stopped(self) -> bool:
        """Whether the build was interrupted."""

    def run(
        self, command: Sequence[str], environ: Mapping[str, str], log: Path
    ) -> Outcome:
        """Run ``command``, all its output into ``log``; return how it ended."""

    def stop(self) -> None:
        """Interrupt the steps that run and refuse new ones."""


class LocalExecutor:
    """Steps as processes on this machine, each in a process group of its own."""

    def __init__(
        self, scratch: Path, inherited: Callable[[], Collection[int]] = tuple
    ) -> None:
        """Keep the descriptors that ``inherited`` returns open in every step.

        ``scratch`` is a folder for the steps' temporary files; no other executor uses
        it at that time.
        """
        self._scratch = scratch
        self._inherited = inherited
        self._running: set[subprocess.Popen[bytes]] = set()
        self._guard = threading.Condition()
        self._watchdog = Watchdog()
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether the build was interrupted."""
        return self._stopped

    def run(
        self, command: Sequence[str], environ: Mapping[str, str], log: Path
    ) -> Outcome:
        """Run ``command``, all its output into ``log``; return how it ended.

        Raises:
            OSError: There is no such command, or the log cannot be written.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with self._temporary() as folder, log.open("wb", buffering=0) as output:
            try:
                output.write(f"$ {shlex.join(command)}\n".encode())
            except OSError as error:  # which does not say of which file
                raise OSError(error.errno, error.strerror, str(log)) from error
            around = {**environ, **LOGGED, "TMPDIR": folder}
            process = self._start(command, around, output.fileno())
            if process is None:
                return Outcome(128 + signal.SIGINT)
            try:
                return _wait(process)
            finally:
                with self._guard:
                    self._watchdog.ended(process.pid)
                    self._running.discard(process)
                    self._guard.notify_all()

    def stop(self) -> None:
        """Interrupt the steps that run, kill those that do not end, refuse new ones."""
        with self._guard:
            self._stopped = True
            running = set(self._running)
        for process in running:
            _signal_group(process, signal.SIGINT)
        with self._guard:
            self._guard.wait_for(lambda: not running & self._running, _GRACE)
        for process in running:
            _signal_group(process, signal.SIGKILL)

    def clear(self) -> None:
        """Remove what the steps of a build that was killed left in the scratch.

        The folder may be there for others too: ``build/tmp`` is Gradle's as well.
        """
        for folder in self._scratch.glob(f"{_PREFIX}*"):
            shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._scratch.rmdir()

    @contextlib.contextmanager
    def _temporary(self) -> Iterator[str]:
        """Yield a folder that is gone afterwards, whatever a step leaves in it."""
        with self._guard:
            self._scratch.mkdir(parents=True, exist_ok=True)
            folder = tempfile.mkdtemp(prefix=_PREFIX, dir=self._scratch)
        try:
            yield folder
        finally:
            with self._guard, contextlib.suppress(OSError):
                shutil.rmtree(folder)
                self._scratch.rmdir()  # which others may still be using

    def _start(
        self, command: Sequence[str], environ: Mapping[str, str], output: int
    ) -> subprocess.Popen[bytes] | None:
        with self._guard:
            if self._stopped:
                return None
            self._watchdog.start()
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environ),
                pass_fds=self._inherited(),
                start_new_session=True,
            )
            self._running.add(process)
            self._watchdog.began(process.pid)
            return process


def _wait(process: subprocess.Popen[bytes]) -> Outcome:
    """Wait for ``process``; nobody else does, so that its use of memory is known."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode < 0:  # killed, and what it had started may still run
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    unit = 1 if sys.platform == "darwin" else 1024
    return Outcome(process.returncode, usage.ru_maxrss * unit)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def tail(log: Path, lines: int) -> list[str]:
    """Return the last ``lines`` lines of ``log`` that are not blank."""
    size = log.stat().st_size
    with log.open("rb") as file:
        file.seek(max(0, size - 200 * lines))
        text = file.read().decode(errors="replace")
    return [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]


def warnings(log: Path) -> list[str]:
    """Return what a step that went well warns of in ``log``, each once."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    mine = (line for line in lines if line.startswith(_WARNING))
    return [line.removeprefix(_SPEAKER) for line in dict.fromkeys(mine)]
