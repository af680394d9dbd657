"""``plan``: what a build of a spec would do with each step, without starting it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcx.cli.explain import USUAL, folder_arguments, usual_spec

if TYPE_CHECKING:
    from mlcx.report.outlook import Outlook
    from mlcx.spec.types import Plan

__all__ = ["plan", "plan_arguments"]


def plan_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``plan``."""
    parser.description = (
        "Say what a build would do with each step: nothing, take what it makes from a "
        "cache, or run it. Sizes and times are those of the build before; a dash: not "
        "known."
    )
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help=f"package config or delivery spec ({USUAL})",
    )
    folder_arguments(parser)
    parser.add_argument(
        "--all",
        action="store_true",
        help="a line for each step, also when there are many",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def plan(args: argparse.Namespace) -> int:
    """Print what a build would do, as a table or as JSON."""
    from mlcx.report.outlook import as_json, shown
    from mlcx.scons.screen import width
    from mlcx.spec import load

    loaded = load(args.file or usual_spec())
    rows = _outlooks(loaded, args.output, args.build)
    if args.json:
        content = {**_plain(loaded), **as_json(rows)}
        print(json.dumps(content, indent=2, default=str))
    else:
        print(shown(rows, width(sys.stdout), whole=args.all), end="")
    return 0


def _outlooks(loaded: Plan, output: Path, build: Path) -> list[Outlook]:
    from mlcx.policy import policy
    from mlcx.report.journal import JOURNAL, Journal
    from mlcx.scons.foresight import Foresight, Setting
    from mlcx.spec.resolve import hub_settings, local
    from mlcx.steps.everything import everything
    from mlcx.steps.requests import Folders
    from mlcx.store.settings import open_cache, settings

    top = Path.cwd()
    folders = Folders(local(top, str(output)), local(top, str(build)))
    asked = everything(loaded, folders, os.environ)
    cache = open_cache(settings(), _warn)
    setting = Setting(folders, policy(os.environ), hub_settings().policy, cache)
    journal = Journal(folders.build / JOURNAL)
    return Foresight(top, setting, journal, asked).all()


def _warn(text: str) -> None:
    print(f"mlcx: warning: {text}", file=sys.stderr)


def _plain(loaded: Plan) -> dict[str, Any]:
    """Return the plan as its dataclasses are, but overrides as objects."""
    plain = dataclasses.asdict(loaded)
    for library in plain["libraries"]:
        library["overrides"] = dict(library["overrides"])
    return plain
