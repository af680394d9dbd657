"""Jobs that would write one file: the same job once, different ones refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mlcx.errors import Problem
from mlcx.spec.resolve import Draft, Job
from mlcx.spec.source import Source
from mlcx.spec.types import LibraryJob, PrebuiltJob

__all__ = ["distinct"]


def distinct(
    source: Source, drafts: Sequence[Draft]
) -> tuple[list[Job], list[Problem]]:
    """Return the jobs without repetitions, and a problem for each that clashes.

    Names that differ in case alone are one file, as they are on macOS and Windows.
    Two libraries that differ in nothing but their model's name are one job, and so are
    two that differ in nothing but the models that use them.
    """
    first: dict[str, tuple[int, Draft]] = {}
    jobs: list[Job] = []
    problems = []
    for draft in drafts:
        job = draft.job
        if not isinstance(job, LibraryJob | PrebuiltJob):
            jobs.append(job)
            continue
        place, earlier = first.setdefault(job.library.lower(), (len(jobs), draft))
        if earlier is draft:
            jobs.append(job)
        elif _substance(earlier.job) != _substance(job):
            problems.append(_clash(source, earlier, draft, job.library))
        else:
            jobs[place] = _both(jobs[place], job)
    return jobs, list(dict.fromkeys(problems))


def _substance(job: Job) -> Job:
    if isinstance(job, PrebuiltJob):
        return replace(job, uses=())
    return replace(job, model_id="") if isinstance(job, LibraryJob) else job


def _both(first: Job, second: Job) -> Job:
    """Return ``first``, with what uses ``second`` where these are ready-made."""
    if not isinstance(first, PrebuiltJob) or not isinstance(second, PrebuiltJob):
        return first
    return replace(first, uses=tuple(dict.fromkeys((*first.uses, *second.uses))))


def _clash(source: Source, earlier: Draft, draft: Draft, library: str) -> Problem:
    if earlier.item == draft.item:
        steps, other = draft.option, earlier.option
        way_out = (
            "the name tells only model_id, quantization and device, so remove one of "
            "the two options or give it to a task with another model_id"
        )
    else:
        steps, other = draft.item, earlier.item
        keys = {"model_list": "model_lib", "tasks": "model_id"}
        way_out = f"choose another {keys.get(str(draft.item[0]), 'name')}"
    line = source.line(other)
    message = f"{library} would be written for this and, differently, for line {line}"
    return source.problem(steps, f"{message}: {way_out}")
