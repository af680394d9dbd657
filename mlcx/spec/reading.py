"""From the file of a spec to its plan, or to all that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from mlcx.errors import InputError, Problem
from mlcx.spec import schema
from mlcx.spec.assemble import assemble
from mlcx.spec.clashes import distinct
from mlcx.spec.delivery_rules import delivery_problems
from mlcx.spec.package_rules import package_problems
from mlcx.spec.resolve import Draft, delivery_jobs, local, package_jobs, ready_jobs
from mlcx.spec.rules import Checked
from mlcx.spec.schema import SpecKind
from mlcx.spec.source import read
from mlcx.spec.types import Plan

__all__ = ["check", "load"]


class _Kind(NamedTuple):
    items: str
    rules: Callable[[Checked], Iterable[Problem]]
    jobs: Callable[..., Iterator[Draft]]


_KINDS: dict[SpecKind, _Kind] = {
    "package": _Kind("model_list", package_problems, package_jobs),
    "delivery": _Kind("tasks", delivery_problems, delivery_jobs),
}


def load(path: str | Path, stamp: Path | None = None) -> Plan:
    """Return what the spec in ``path`` means.

    Args:
        path: A package config or a delivery spec.
        stamp: A file, in the build folder, that remembers which specs have passed
            their schema; saves 60 ms for one that has not changed. None: do without.

    Raises:
        InputError: The spec violates its schema or a rule; holds every problem.
    """
    source = read(path)
    kind = schema.kind_of(source)
    violations = schema.violations(source, kind, stamp)
    problems = [violation.problem(source) for violation in violations]
    checked = Checked(source, frozenset(problem.pointer for problem in problems))
    problems += _KINDS[kind].rules(checked)
    drafts = list(_drafts(checked, kind, problems))
    if kind == "package" and not problems:
        drafts += ready_jobs(source.value, checked.folder)
    jobs, clashes = distinct(source, drafts)
    if problems or clashes:
        raise InputError(sorted({*problems, *clashes}))
    spec = local(checked.folder, Path(path).name)
    return assemble(spec, kind, jobs, source.value.get("device"))


def check(paths: Iterable[str | Path]) -> list[Problem]:
    """Return every problem of every spec in ``paths``, file by file."""
    return [problem for path in paths for problem in _problems_of(path)]


def _problems_of(path: str | Path) -> tuple[Problem, ...]:
    try:
        load(path)
    except InputError as error:
        return error.problems
    return ()


def _drafts(
    checked: Checked, kind: SpecKind, problems: list[Problem]
) -> Iterator[Draft]:
    """Yield the jobs of all items in which there is no problem."""
    items, value = _KINDS[kind].items, checked.source.value
    if any(not problem.pointer.startswith(f"/{items}/") for problem in problems):
        return
    bad = {problem.pointer.split("/")[2] for problem in problems}
    for index in range(len(value.get(items, ()))):
        if str(index) not in bad:
            jobs = _KINDS[kind].jobs(value, index, checked.folder, checked.place)
            yield from jobs
