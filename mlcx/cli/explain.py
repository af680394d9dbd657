"""``explain``: why targets are as they are, and what a build would do with them."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcx.errors import UsageError

if TYPE_CHECKING:
    from mlcx.reasons.changes import Change
    from mlcx.reasons.record import Record
    from mlcx.scons.explain import Verdict

__all__ = [
    "SPECS",
    "USUAL",
    "explain",
    "explain_arguments",
    "folder_arguments",
    "usual_spec",
]

SPECS = (Path("mlc-package-config.json"), Path("specs/mlc-package-config.json"))
"""What is built when nothing is named."""

USUAL = f"default: the first there is of {' and '.join(map(str, SPECS))}"
"""The same, for help."""


def explain_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``explain``."""
    parser.add_argument(
        "targets",
        nargs="*",
        type=Path,
        metavar="TARGET",
        help="file that a build makes, or folder with such files; "
        "none: all that a build would make now",
    )
    parser.add_argument(
        "--spec",
        action="append",
        type=Path,
        metavar="FILE",
        help=f"what is built; may be given again ({USUAL})",
    )
    folder_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def folder_arguments(
    parser: argparse._ActionsContainer,
    output: argparse._ActionsContainer | None = None,
) -> None:
    """Declare where a build puts things.

    Args:
        parser: To declare it to.
        output: What has the folder for what is made, where that is another group.
    """
    names = ("-o", "--output")
    folders = (
        (output or parser, names, "dist", "folder for what is made"),
        (parser, ("--build",), "build", "folder for intermediate files"),
    )
    for owner, options, default, what in folders:
        path = Path(default)
        owner.add_argument(*options, type=Path, default=path, metavar="DIR", help=what)


def explain(args: argparse.Namespace) -> int:
    """Say of each target what a build would do with it, and why it was last built."""
    from mlcx.scons.explain import explainer, located
    from mlcx.spec.resolve import local
    from mlcx.spec.source import read

    specs = args.spec or [usual_spec()]
    known = explainer(specs, args.output, args.build)
    asked = [
        request
        for each in args.targets
        for request in known.find(local(Path.cwd(), str(each)))
    ]
    verdicts = map(known.verdict, dict.fromkeys(asked) or known.requests)
    sources = [read(spec) for spec in specs]
    shown = [
        located(verdict, sources)
        for verdict in verdicts
        if asked or verdict.state != "up to date"
    ]
    if args.json:
        print(json.dumps({"targets": [_as_json(each) for each in shown]}, indent=2))
    else:
        print("\n".join(line for each in shown for line in _lines(each)) or _NOTHING)
    return 0


_NOTHING = "all is up to date"


def usual_spec() -> Path:
    """Return the spec that is meant when none is named.

    Raises:
        UsageError: There is none.
    """
    found = next((path for path in SPECS if path.exists()), None)
    if found is None:
        names = " and no ".join(map(str, SPECS))
        raise UsageError(f"there is no {names}: name the spec, or make one: mlcx init")
    return found


def _lines(verdict: Verdict) -> Iterator[str]:
    perhaps = verdict.state == "perhaps" and not verdict.behind
    yield f"{_name(verdict)}: {_UNKNOWN if perhaps else _STATES[verdict.state]}"
    yield from _reasons(verdict)
    if verdict.last is not None:
        yield f"  {_made(verdict.last)}"
        yield from _tree(verdict.last.because, "    ")


def _name(verdict: Verdict) -> str:
    return verdict.request.shown or verdict.target


_STATES = {
    "up to date": "up to date",
    "to build": "to build, since",
    "perhaps": "to build if what it is made from comes out different",
}

_UNKNOWN = "perhaps to build"


def _reasons(verdict: Verdict, indent: str = "  ") -> Iterator[str]:
    yield from _tree(verdict.changes, indent)
    for each in verdict.behind:
        may = "would be" if each.state == "to build" else "may be"
        yield f"{indent}{_name(each)} {may} made again by {each.request.verb}:"
        yield from _reasons(each, f"{indent}  ")


def _made(record: Record) -> str:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.ended))
    if record.seconds is None:
        return (
            f"known since {at}: taken from a cache, or built before its record was lost"
        )
    why = ", since" if record.because else ""
    return f"last made {at} by {record.verb} in {record.seconds:.1f} s{why}"


def _tree(changes: Iterable[Change], indent: str) -> Iterator[str]:
    """Yield the lines of ``changes``; what several are because of, only once."""
    rest = list(changes)
    for index, change in enumerate(rest):
        yield f"{indent}{change}"
        following = rest[index + 1].because if index + 1 < len(rest) else ()
        if change.because and change.because != following:
            yield from _tree(change.because, f"{indent}  ")


def _as_json(verdict: Verdict) -> dict[str, Any]:
    last = verdict.last
    return {
        "target": verdict.target,
        "verb": verdict.request.verb,
        "state": verdict.state,
        "changes": [_plain(change) for change in verdict.changes],
        "behind": [_as_json(each) for each in verdict.behind],
        "last": None
        if last is None
        else {
            "ended": last.ended,
            "seconds": last.seconds,
            "because": [_plain(change) for change in last.because],
        },
    }


def _plain(change: Change) -> dict[str, Any]:
    """Return ``change`` with its text, without what it does not have."""
    because = [_plain(each) for each in change.because]
    found = {**asdict(change), "because": because}
    given = {key: value for key, value in found.items() if value not in ("", None, [])}
    return {"text": str(change), **given}
