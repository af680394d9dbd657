"""All steps of a plan, of whatever kind: what a build does, and so a forecast tells."""

from __future__ import annotations

from collections.abc import Mapping

from mlcx.spec.types import Plan
from mlcx.steps import phone, quality, requests
from mlcx.steps.apart import apart, apart_from_models
from mlcx.steps.requests import Folders, Request

__all__ = ["everything"]


def everything(
    plan: Plan, folders: Folders, environ: Mapping[str, str]
) -> list[Request]:
    """Return what it takes to make, verify and hand to an app all that ``plan`` names.

    Raises:
        UsageError: A folder that ``environ`` names is not what it must be, or a step
            would write where it reads, or into the folder of a model.
    """
    apart_from_models(plan, folders)
    return [
        *apart(requests.plan(plan, folders)),
        *quality.plan(plan, folders),
        *phone.plan(plan, folders, environ),
    ]
