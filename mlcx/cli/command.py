"""The command line as a whole: find the verb, run it, report how that ended."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

from mlcx import __version__, streams
from mlcx.cli import VERBS
from mlcx.cli.interrupt import interruptible
from mlcx.errors import MlcxError, UsageError, said

__all__ = ["run"]


def run(arguments: list[str]) -> int:
    """Run the verb that ``arguments`` begin with, and return the exit status."""
    streams.prepare()
    try:
        with streams.written(), interruptible():
            return _run(arguments)
    except MlcxError as error:
        print(error.report(), file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:  # the reader went away
        return 1
    except OSError as error:
        # A disk that is full or a folder that is closed is nobody's bug.
        print(f"mlcx: {said(error)}", file=sys.stderr)
        # What was named is not the caller's.
        return 2 if isinstance(error, PermissionError) else 1


def _run(arguments: list[str]) -> int:
    name = arguments[0] if arguments else ""
    if name and name not in VERBS and not name.startswith("-"):
        raise _unknown(name)
    if name not in VERBS:
        _overview().parse_args(arguments or ["--help"])
        return 2
    verb = VERBS[name]
    module = importlib.import_module(f"mlcx.cli.{verb.module}")
    parser = _Parser(
        prog=f"mlcx {name}",
        description=verb.summary[0].upper() + verb.summary[1:] + ".",
        formatter_class=_Help,
    )
    function = name.replace("-", "_")
    getattr(module, f"{function}_arguments")(parser)
    status: int = getattr(module, function)(parser.parse_args(arguments[1:]))
    return status


_ELSEWHERE = {
    "chat": "mlcx generate answers a prompt",
    "serve": "mlcx generate answers a prompt",
}
"""Verbs of MLC LLM that there are not to what does some of it."""


def _unknown(name: str) -> UsageError:
    if name in _ELSEWHERE:
        return UsageError(f"there is no verb {name!r} yet: {_ELSEWHERE[name]}")
    return UsageError.unknown("verb", name, VERBS)


class _Parser(argparse.ArgumentParser):
    """Refuses an empty path, as of a variable that is not set: it is no folder."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register("type", Path, _path)


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("expected a path, found nothing")
    return Path(text)


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults that say something, and that the help does not say itself."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        says_nothing = action.default in (None, False, "", [])
        if says_nothing or "default:" in (action.help or ""):
            return action.help
        return super()._get_help_string(action)


def _overview() -> argparse.ArgumentParser:
    width = max(map(len, VERBS))
    lines = (f"  {name:{width}}  {verb.summary}" for name, verb in VERBS.items())
    rows = "\n".join(lines)
    parser = argparse.ArgumentParser(
        prog="mlcx",
        description="A build system for on-device LLMs.",
        epilog=f"verbs:\n{rows}\n\n'mlcx VERB --help' explains a verb.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mlcx {__version__}")
    parser.add_argument("verb", choices=list(VERBS), metavar="VERB", help="what to do")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser
