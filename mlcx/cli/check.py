"""``validate``: look at specs without building anything."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlcx.errors import InputError, Problem

if TYPE_CHECKING:
    from mlcx.spec.types import Plan

__all__ = ["validate", "validate_arguments"]


def validate_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``validate``."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="package config or delivery spec"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


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
    """Return how many jobs there are, as the spec names them."""
    parts = (loaded.fetched, loaded.weights, loaded.libraries, loaded.prebuilt)
    judged = sum(library.verify is not None for library in loaded.libraries)
    archives = int(loaded.static_lib is not None)
    return sum(map(len, parts)) + judged + archives + len(loaded.bundles)
