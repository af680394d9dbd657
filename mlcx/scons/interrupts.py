"""What ends this process, such as Ctrl-C, ends the steps of all its builds."""

from __future__ import annotations

import os
import signal
import threading
from functools import cache

from mlcx.scons.executor import Executor

__all__ = ["Interrupts", "interrupts"]

_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class Interrupts:
    """Of one process; made by its main thread.

    The wake-up descriptor, of which a process has one, tells of a signal whichever
    handler is installed.
    """

    def __init__(self) -> None:
        self._executors: list[Executor] = []
        self.number = 0
        """Of the last signal; 0: there was none."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(reader,), daemon=True).start()

    @property
    def happened(self) -> bool:
        """Whether there was one."""
        return bool(self.number)

    def stop(self, executor: Executor) -> None:
        """Stop ``executor`` when the process gets a signal to end.

        The handlers of SCons only keep it from starting more steps.
        """
        self._executors.append(executor)

    def _watch(self, reader: int) -> None:
        while numbers := os.read(reader, 64):
            for number in _SIGNALS.intersection(numbers):
                self.number = number
                for executor in self._executors:
                    threading.Thread(target=executor.stop, daemon=True).start()


@cache
def interrupts() -> Interrupts:
    """Return those of this process."""
    return Interrupts()
