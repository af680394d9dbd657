"""The exceptions of mlcx: each says where, what, and the way out.

Knows nothing of the rest of the package. ``exit_status`` is what a command exits with.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["BuildError", "InputError", "MlcxError", "Problem", "UsageError", "said"]


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong in one place of one file.

    Lines and columns count from 1; 0 means that the file as a whole is meant.
    """

    file: str
    line: int
    column: int
    message: str
    pointer: str = ""
    """JSON pointer (RFC 6901) of the value meant; empty for the whole file."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}"


class MlcxError(Exception):
    """Anything that mlcx refuses or fails to do."""

    exit_status = 1

    def report(self) -> str:
        """Return what a command prints of this to stderr."""
        return f"mlcx: {self}"


class BuildError(MlcxError):
    """A step was asked for rightly and could not be done."""


class UsageError(MlcxError):
    """A command was called wrongly."""

    exit_status = 2

    @classmethod
    def unknown(cls, what: str, name: str, known: Iterable[str]) -> UsageError:
        """Say that no ``what`` is called ``name``, what is close, what there is."""
        names = list(known)
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]!r}? Expected" if close else "expected"
        return cls(f"unknown {what} {name!r}: {hint} one of {', '.join(names)}")


class InputError(MlcxError):
    """A file that a person gave is not what it must be; holds every problem found."""

    exit_status = 2

    def __init__(self, problems: Problem | Sequence[Problem]) -> None:
        several = [problems] if isinstance(problems, Problem) else problems
        self.problems: tuple[Problem, ...] = tuple(several)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def report(self) -> str:
        """Return the problems as lines that begin with the file, as editors expect."""
        return str(self)

    @classmethod
    def in_file(cls, file: object, message: str) -> InputError:
        """Say that ``file`` as a whole has one problem."""
        return cls(Problem(str(file), 0, 0, message))


def said(error: OSError | MlcxError) -> str:
    """Return what to say of ``error``: of the system's, what it is about as well."""
    if isinstance(error, MlcxError):
        return str(error)
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"
