"""When a library may be compiled: the variable ``MLC_JIT_POLICY``."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from mlcx.errors import UsageError

__all__ = ["VARIABLE", "Policy", "policy"]

VARIABLE = "MLC_JIT_POLICY"


class Policy(Enum):
    """What a build does with a library."""

    ON = "compile what is out of date"
    REDO = "compile, also what is up to date"
    READONLY = "take what is up to date, else fail"
    OFF = "fail, also for what is up to date"

    def redoes(self, verb: str) -> bool:
        """Whether what ``verb`` made is looked at again, also when up to date."""
        return self.always and verb == "compile"

    def refuses(self, verb: str) -> bool:
        """Whether ``verb`` may not run: of those that compile a library or its part."""
        return not self.compiles and verb in {"compile", "web_runtime"}

    @property
    def always(self) -> bool:
        """Whether also a library that is up to date is looked at again."""
        return self in {Policy.REDO, Policy.OFF}

    @property
    def compiles(self) -> bool:
        """Whether compiling is allowed at all."""
        return self in {Policy.ON, Policy.REDO}


def policy(environ: Mapping[str, str]) -> Policy:
    """Return the policy that ``environ`` names; ON when it names none.

    Raises:
        UsageError: The variable has another value.
    """
    name = environ.get(VARIABLE, Policy.ON.name)
    if name not in Policy.__members__:
        known = ", ".join(Policy.__members__)
        raise UsageError(f"{VARIABLE}: expected one of {known}, found {name!r}")
    return Policy[name]
