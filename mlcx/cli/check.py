"""``validate`` and ``plan``: look at specs without building anything."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlcx.errors import InputError, Problem

if TYPE_CHECKING:
    from mlcx.spec.types import Plan, Verify

__all__ = ["plan", "plan_arguments", "validate", "validate_arguments"]

_COLUMNS = ("job", "model", "quantization", "device", "output")


def validate_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``validate``."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="package config or delivery spec"
    )
    _json_argument(parser)


def validate(args: argparse.Namespace) -> int:
    """Check every file and report every problem of each; 0: there are none."""
    verdicts = [_judge(file) for file in args.files]
    if args.json:
        rows = [verdict.as_json() for verdict in verdicts]
        print(json.dumps({"files": rows}, indent=2))
    else:
        for verdict in verdicts:
            verdict.report()
    return 0 if all(verdict.valid for verdict in verdicts) else InputError.exit_status


def plan_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``plan``."""
    parser.add_argument("file", metavar="FILE", help="package config or delivery spec")
    _json_argument(parser)


def plan(args: argparse.Namespace) -> int:
    """Print the jobs of a spec, as a table or as JSON."""
    from mlcx.spec import load

    loaded = load(args.file)
    if args.json:
        print(json.dumps(_as_json(loaded), indent=2, default=str))
        return 0
    print(_table([_COLUMNS, *_rows(loaded)]))
    return 0


def _json_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


@dataclass(frozen=True)
class _Verdict:
    file: str
    jobs: int
    problems: tuple[Problem, ...]

    @property
    def valid(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        return {"valid": self.valid, **dataclasses.asdict(self)}

    def report(self) -> None:
        for problem in self.problems:
            print(problem, file=sys.stderr)
        if self.valid:
            jobs = "1 job" if self.jobs == 1 else f"{self.jobs} jobs"
            print(f"{self.file}: valid ({jobs})")


def _judge(file: str) -> _Verdict:
    from mlcx.spec import load

    try:
        jobs = _count(load(file))
    except InputError as error:
        return _Verdict(file, 0, error.problems)
    return _Verdict(file, jobs, ())


def _count(loaded: Plan) -> int:
    return len(list(_rows(loaded)))


def _rows(loaded: Plan) -> Iterator[tuple[str, ...]]:
    """Yield one line of the table for each job, in the order in which they build."""
    for model in loaded.fetched:
        part = "" if model.directory in loaded.weighty else "texts of "
        yield "fetch", f"{part}{model.repository}", "", "", f"commit {model.commit}"
    for weights in loaded.weights:
        yield "weights", weights.model_id, weights.quantization, "", weights.directory
    for library in loaded.libraries:
        scheme = library.quantization or "(the model's)"
        yield "library", library.model_id, scheme, library.device, library.library
        if library.verify is not None:
            asked = _asked(library.verify)
            yield "verify", library.model_id, scheme, library.device, asked
    for ready in loaded.prebuilt:
        yield "prebuilt", ready.model_lib, "", "", ready.library
    if loaded.static_lib is not None:
        device, made = loaded.static_lib.device, loaded.static_lib.library
        yield "static library", "", "", device, made
    for bundle in loaded.bundles:
        yield "bundle", bundle.model_id, "", "", bundle.directory


def _asked(verify: Verify) -> str:
    """Return what a library is held to, in one line."""
    words = []
    if verify.max_kl is not None:
        words.append(f"mean KL at most {verify.max_kl:g}")
    if verify.min_top1 is not None:
        words.append(f"top-1 at least {verify.min_top1:g}")
    text = "" if verify.text is None else f" of {verify.text.name}"
    asked = " and ".join(words)
    return f"{asked} on {verify.tokens} tokens{text}, against {verify.reference}"


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _as_json(loaded: Plan) -> dict[str, Any]:
    """Return the plan as its dataclasses are, but overrides as objects."""
    plain = dataclasses.asdict(loaded)
    for library in plain["libraries"]:
        library["overrides"] = dict(library["overrides"])
    return plain
