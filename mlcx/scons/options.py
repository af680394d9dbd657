"""The variables of a command line, ``NAME=VALUE``, and the help on them."""

from __future__ import annotations

import difflib
import sys
from functools import cache
from typing import Any

import SCons.Errors
import SCons.Script
from SCons.Variables import BoolVariable, Variables

from mlcx.errors import UsageError
from mlcx.scons import script

__all__ = ["COMMAND_LINE", "read", "reject_ignored", "reject_unknown"]

COMMAND_LINE = "MLCXCOMSTR"
"""Construction variable: what a build prints of a step; empty for its command."""

_HEADING = "Variables of mlcx, given as NAME=VALUE:"


_SWITCHES = {
    "VERBOSE": "print the command of each step",
    "MANIFEST": "list what was made, with hashes",
}
_LIKE = 0.75
"""How much an unknown name must be like a known one to be taken for a slip of it."""


def read(env: Any) -> None:
    """Set the variables in ``env``, from the command line or their defaults.

    Raises:
        UsageError: One has a value that means nothing.
    """
    variables = _variables(env)
    try:
        variables.Update(env)
    except SCons.Errors.UserError as error:
        given = {**env.Dictionary(), **SCons.Script.ARGUMENTS}
        name = next(each for each in _SWITCHES if each in str(error))
        raise UsageError(f"{name}={given[name]}: expected 1 or 0") from error
    _warn_of_slips(variables)
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
        raise UsageError.unknown("variable", f"{unknown[0]}=", _assigned(known))


def reject_ignored(spec: str) -> None:
    """Refuse ``SPEC=…`` of the command line where a script names ``spec`` itself.

    Raises:
        UsageError: The script builds that, and says nothing of SPEC.
    """
    given = SCons.Script.ARGUMENTS.get("SPEC")
    if given and given != spec and not script.decides_by("SPEC"):
        message = f"SPEC={given}: this script builds {spec} whatever SPEC says"
        raise UsageError(f"{message}: let it call {script.OBEYS}, or leave SPEC out")


def _warn_of_slips(known: Any) -> None:
    """Warn of variables that are like one of ours, and that no script asks for.

    One that lets the command line decide refuses them.
    """
    for name in sorted(known.UnknownVariables()):
        close = difflib.get_close_matches(name.upper(), known.keys(), 1, _LIKE)
        if close and not script.decides_by(name):
            _warn(f"{name}= means nothing to mlcx: did you mean {close[0]}=?")


@cache
def _warn(text: str) -> None:
    """Say ``text``, once however many environments there are."""
    sys.stderr.write(f"mlcx: warning: {text}\n")


def _assigned(known: Any) -> list[str]:
    return [f"{name}=" for name in known.keys()]  # noqa: SIM118 (it is no mapping)


def _variables(env: Any) -> Any:
    variables = Variables(None, SCons.Script.ARGUMENTS)
    variables.AddVariables(
        ("SPEC", "spec to build when no target names one", env.get("SPEC", "")),
        ("OUTPUT", "folder for what is made", env.get("OUTPUT", "dist")),
        ("BUILD", "folder for intermediate files and logs", env.get("BUILD", "build")),
        ("CACHE", "URL of a cache that is shared with others", env.get("CACHE", "")),
        ("CACHE_DIR", "folder of the own cache, or none", env.get("CACHE_DIR", "")),
        ("MEMORY", "most that steps take at a time: 8G, none", env.get("MEMORY", "")),
        *(
            BoolVariable(name, meaning, env.get(name, False))
            for name, meaning in _SWITCHES.items()
        ),
    )
    return variables
