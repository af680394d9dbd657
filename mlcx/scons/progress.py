"""What a build says to the person who started it."""

from __future__ import annotations

import sys
from typing import Protocol

from mlcx import streams
from mlcx.scons import ending

__all__ = ["Console", "Reporter"]


class Reporter(Protocol):
    """Where the lines of a build go; may be called from any thread."""

    def note(self, text: str) -> None:
        """Say how the build goes."""

    def lines(self, text: str) -> None:
        """Show ``text``, which is lines, as it is."""

    def error(self, text: str) -> None:
        """Say what went wrong."""


class Console:
    """Notes on stdout, unless silent; errors on stderr."""

    def __init__(self, silent: bool) -> None:
        self._silent = silent

    def note(self, text: str) -> None:
        """Write ``text`` as one or more lines, at once."""
        self.lines(f"mlcx: {text}\n")

    def lines(self, text: str) -> None:
        """Write ``text``, which is whole lines, at once; failing fails the run."""
        if self._silent:
            return
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError as error:
            message = streams.give_up(error)
            if message:
                self.error(message)
            ending.fail()

    def error(self, text: str) -> None:
        """Write ``text`` as one or more lines, at once."""
        sys.stderr.write(f"mlcx: {text}\n")
        sys.stderr.flush()
