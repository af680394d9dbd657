"""Make a run of SCons fail when something goes wrong after its last step.

By then SCons has chosen its exit status, and no handler that runs at exit can change
it but by ending the process.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Iterator

from mlcx.errors import MlcxError, said
from mlcx.scons.progress import Reporter

__all__ = ["fail", "failing"]

_STATUS = 2
"""SCons' own for a build that failed."""

_failed = False


def fail() -> None:
    """Let this process end with the status of a build that failed."""
    global _failed  # noqa: PLW0603 (a process has one exit status)
    _failed = True


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
    if _failed:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_STATUS)
