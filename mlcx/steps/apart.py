"""Keeps what steps make apart from what they are made of, which is the user's."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mlcx.errors import UsageError
from mlcx.spec.types import BundleJob, LibraryJob, Plan, WeightsJob
from mlcx.steps.requests import Folders, Request

__all__ = ["apart", "apart_from_models"]

_FILLS_A_FOLDER = {"gen_config", "convert_weight", "bundle"}
"""Verbs that own the folder that they write: all in it with their names is theirs."""


def apart(requests: Iterable[Request]) -> list[Request]:
    """Return ``requests``, none of which writes where it reads, by whatever name.

    Raises:
        UsageError: One does: it would replace its sources, and a clean remove them.
    """
    asked = list(requests)
    for request in asked:
        for source in request.sources:
            if _meet(request, source):
                raise UsageError(_refusal(request, source))
    return asked


def apart_from_models(plan: Plan, folders: Folders) -> None:
    """Refuse to build among the files of a model, of which any may be read.

    Raises:
        UsageError: One of ``folders`` is a model's own, by whatever name.
    """
    jobs: tuple[WeightsJob | LibraryJob | BundleJob, ...]
    jobs = (*plan.weights, *plan.libraries, *plan.bundles)
    for model in dict.fromkeys(job.model for job in jobs if job.fetched is None):
        for folder in (folders.output, folders.build):
            if _same(folder, model):
                message = f"{folder} is the folder of a model, which the build reads"
                raise UsageError(f"{message}: name another folder to build into")


def _meet(request: Request, source: Path) -> bool:
    if request.verb in _FILLS_A_FOLDER:
        return _same(request.output, source.parent)
    names = (each for each in request.targets if each.name == source.name)
    return any(_same(each.parent, source.parent) for each in names)


def _same(one: Path, other: Path) -> bool:
    if one == other:
        return True
    try:
        return one.samefile(other)
    except OSError:  # what is not there yet is nobody's
        return False


def _refusal(request: Request, source: Path) -> str:
    fills = request.verb in _FILLS_A_FOLDER
    there = f" is the folder of {source.name}" if fills else f" is {source} itself"
    message = f"{there}, which {request.verb} reads: it would be overwritten"
    return f"{request.output}{message}: name another folder to build into"
