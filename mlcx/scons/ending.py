"""How a run of SCons ends: its exit status, also when the end itself goes wrong.

By then SCons has chosen its status, and no handler that runs at exit can change it but
by ending the process.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from mlcx.errors import MlcxError, said
from mlcx.scons.interrupts import interrupts

if TYPE_CHECKING:
    from mlcx.scons.progress import Reporter

__all__ = ["fail", "failing", "of_a_verb", "refuse", "refused", "status"]


@dataclass
class _Ending:
    """Of this process, which has one."""

    fails: bool = False
    is_of_a_verb: bool = False
    refusal: int | None = None


_ending = _Ending()


def fail() -> None:
    """Let this process end with the status of a build that failed."""
    _ending.fails = True


def refuse(status: int) -> NoReturn:
    """End SCons with ``status``, since what it was asked for cannot be begun."""
    _ending.refusal = status
    sys.exit(status)


def refused() -> bool:
    """Whether what was asked for could not be begun."""
    return _ending.refusal is not None


def of_a_verb() -> None:
    """Let a build that failed or was interrupted end with the status of verbs."""
    _ending.is_of_a_verb = True


def status(code: object) -> int:
    """Return the status of this process when SCons would end with ``code``."""
    if _ending.refusal is not None:
        return _ending.refusal
    return _failure() if code else 0


def _failure() -> int:
    if not _ending.is_of_a_verb:
        return 2  # as of SCons, also of a build that was interrupted
    number = interrupts().number
    return 128 + number if number else 1


@contextlib.contextmanager
def failing(reporter: Reporter) -> Iterator[None]:
    """Say what goes wrong, and let the process fail when it ends."""
    try:
        yield
    except (OSError, MlcxError) as error:
        reporter.error(said(error))
        fail()


@atexit.register
def _end() -> None:
    """Run after all handlers that were registered later, those of sessions too."""
    if _ending.fails:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_failure())
