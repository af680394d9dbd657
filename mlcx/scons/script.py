"""Whether SCons was asked for no more than to build specs, in words that mlcx knows.

A script may declare whatever it likes, and an option of SCons may change what it does.
Only when a script does nothing but hand on specs, and all that the command line says is
understood, may a build be taken for done without telling SCons what it is of.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path

import SCons.Script

__all__ = [
    "NO_SITE",
    "OBEYS",
    "asks_for_specs_only",
    "decides_by",
    "is_plain",
    "is_understood",
]

_DECLARES = {"MLCCommandLine", "MLCDelivery", "MLCPackage", "MLCSpec"}
OBEYS = "MLCCommandLine"
"""The method by which a script lets the command line decide."""
_TOOL = {"exists", "generate"}
_CALLED = {"DefaultEnvironment", "Environment", "Help"}
_SET = {"max_drift", "num_jobs"}
_KEYWORDS = {"tools", "MLCX", "OUTPUT", "BUILD", "CACHE", "CACHE_DIR", "SPEC"}
_KEYWORDS |= {"MEMORY", "MANIFEST"}
NO_SITE = "--no-site-dir"
"""Keeps SCons from running what is in a folder ``site_scons``."""
_OPTIONS = re.compile(rf"-[Qks]+|-j\d+|{NO_SITE}|--(silent|quiet|keep-going|jobs=\d+)")
_WITH_VALUE = {"-C", "-f", "-j"}


def asks_for_specs_only(specs: Collection[str]) -> bool:
    """Whether this run of SCons reads one plain script, and is about ``specs``."""
    stack = SCons.Script.call_stack
    if len(stack) != 1 or "site_init" in sys.modules:
        return False
    if not is_understood(sys.argv[1:], os.environ, specs):
        return False
    tool = getattr(sys.modules.get("mlc"), "__file__", None)
    scripts = filter(None, (str(stack[0].sconscript), tool))
    return all(is_plain(Path(script)) for script in scripts)


def decides_by(variable: str) -> bool:
    """Whether a script that SCons is reading may go by ``variable=…``.

    It names it, or hands all variables to ``MLCCommandLine``.
    """
    words = (f'"{variable}"', f"'{variable}'", f".{OBEYS}(")
    for frame in SCons.Script.call_stack:
        try:
            text = Path(str(frame.sconscript)).read_text("utf-8", "replace")
        except OSError:
            continue
        if any(word in text for word in words):
            return True
    return False


def is_understood(
    words: Sequence[str], environ: Mapping[str, str], specs: Collection[str]
) -> bool:
    """Whether a command line only says which of ``specs`` to build, and how to say so.

    Args:
        words: Of the command line.
        environ: May hold options too.
        specs: That are about to be declared.
    """
    if environ.get("SCONSFLAGS") or words.count("-f") > 1:
        return False
    rest = iter(words)
    for word in rest:
        if word in _WITH_VALUE:
            next(rest, None)
        elif word.startswith("-"):
            if not _OPTIONS.fullmatch(word):
                return False
        elif "=" not in word and word not in specs:
            return False
    return True


def is_plain(script: Path) -> bool:
    """Whether ``script`` only makes an environment and builds what is asked for once.

    Each of its statements is a text, an import from ``mlcx.scons``, or one of a few
    calls, all of whose arguments stand there.
    """
    try:
        body = ast.parse(script.read_bytes()).body
    except (OSError, ValueError, SyntaxError):
        return False
    calls = (each for each in chain(*map(ast.walk, body)) if _declares(each))
    return all(map(_is_plain, body)) and len(list(calls)) <= 1


def _is_plain(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.ImportFrom):
        names = {alias.name for alias in statement.names if alias.asname is None}
        whole = len(names) == len(statement.names)
        return statement.module == "mlcx.scons" and whole and names <= _TOOL
    if not isinstance(statement, (ast.Expr, ast.Assign)):
        return False
    value = statement.value
    return _is_plain_call(value) if isinstance(value, ast.Call) else _is_literal(value)


def _is_plain_call(call: ast.Call) -> bool:
    words = [*call.args, *(each.value for each in call.keywords)]
    if not all(map(_is_literal, words)):
        return False
    if not isinstance(call.func, ast.Name):
        owner = getattr(call.func, "value", None)
        made = isinstance(owner, ast.Call) and _is_plain_call(owner)
        return _declares(call.func) and (made or isinstance(owner, ast.Name))
    if call.func.id == "SetOption":
        return bool(words) and getattr(words[0], "value", None) in _SET
    named = {each.arg for each in call.keywords}
    return call.func.id in _CALLED and named <= _KEYWORDS


def _declares(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in _DECLARES


def _is_literal(value: ast.expr) -> bool:
    if isinstance(value, (ast.List, ast.Tuple)):
        return all(map(_is_literal, value.elts))
    if isinstance(value, ast.Name):
        return value.id in _TOOL
    return isinstance(value, ast.Constant)
