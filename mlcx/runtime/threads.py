"""How many threads kernels run on: one for each core that this process may use."""

from __future__ import annotations

import os
from pathlib import Path

from mlcx.errors import UsageError
from mlcx.share import processors

__all__ = ["cores", "set_threads"]

_VARIABLE = "TVM_NUM_THREADS"
_TOPOLOGY = Path("/sys/devices/system/cpu")


def cores() -> int:
    """Return the number of physical cores: sharing one makes kernels slower.

    It is less where this process may take less time than they have.
    """
    most = processors()
    if not hasattr(os, "sched_getaffinity"):
        return most
    siblings = {_siblings(cpu) for cpu in os.sched_getaffinity(0)}
    return min(most, len(siblings))


def _siblings(cpu: int) -> str:
    """Name the core that the logical processor ``cpu`` is part of."""
    file = _TOPOLOGY / f"cpu{cpu}" / "topology" / "thread_siblings_list"
    return file.read_text() if file.is_file() else str(cpu)


def set_threads(count: int | None) -> None:
    """Let TVM run kernels on ``count`` threads; None: as the user's variable says.

    Without the variable TVM takes every other processor, whether or not two share a
    core. It reads it once, when the first kernel runs.

    Raises:
        UsageError: ``count`` is less than 1, or more than there are processors.
    """
    most = os.cpu_count() or 1
    if count is not None and not 1 <= count <= most:
        message = f"--threads: expected 1 to {most}, the processors that there are"
        raise UsageError(f"{message}, found {count}")
    if count is not None:
        os.environ[_VARIABLE] = str(count)
    else:
        os.environ.setdefault(_VARIABLE, str(cores()))
