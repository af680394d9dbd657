"""The variables of a command line, ``NAME=VALUE``, and the help on them."""

from __future__ import annotations

from typing import Any

import SCons.Script
from SCons.Variables import BoolVariable, Variables

from mlcx.errors import UsageError

__all__ = ["COMMAND_LINE", "read", "reject_unknown"]

COMMAND_LINE = "MLCXCOMSTR"
"""Construction variable: what a build prints of a step; empty for its command."""

_HEADING = "Variables of mlcx, given as NAME=VALUE:"


def read(env: Any) -> None:
    """Set the variables in ``env``, from the command line or their defaults."""
    variables = _variables(env)
    variables.Update(env)
    if _HEADING not in (SCons.Script.help_text or ""):
        text = variables.GenerateHelpText(env)
        env.Help(f"\n{_HEADING}\n{text}".replace("$", "$$"), append=True)


def reject_unknown(env: Any) -> None:
    """Refuse a variable of the command line that means nothing.

    Raises:
        UsageError: There is one.
    """
    known = _variables(env)
    known.Update(env)
    unknown = sorted(known.UnknownVariables())
    if unknown:
        names = ", ".join(known.keys())
        raise UsageError(f"unknown variable {unknown[0]}=: expected one of {names}")


def _variables(env: Any) -> Any:
    variables = Variables(None, SCons.Script.ARGUMENTS)
    variables.AddVariables(
        ("SPEC", "spec to build when no target names one", env.get("SPEC", "")),
        ("OUTPUT", "folder for what is made", env.get("OUTPUT", "dist")),
        ("BUILD", "folder for intermediate files and logs", env.get("BUILD", "build")),
        ("CACHE", "URL of a cache that is shared with others", env.get("CACHE", "")),
        ("CACHE_DIR", "folder of the own cache, or none", env.get("CACHE_DIR", "")),
        ("MEMORY", "most that steps take at a time: 8G, none", env.get("MEMORY", "")),
        BoolVariable(
            "VERBOSE", "print the command of each step", env.get("VERBOSE", False)
        ),
        BoolVariable(
            "MANIFEST", "list what was made, with hashes", env.get("MANIFEST", False)
        ),
    )
    return variables
