"""From the jobs of a spec to its plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from mlcx.spec.app import for_device, static_lib
from mlcx.spec.resolve import Job
from mlcx.spec.schema import SpecKind
from mlcx.spec.types import (
    AppEntry,
    BundleJob,
    LibraryJob,
    Plan,
    PrebuiltJob,
    WeightsJob,
)

__all__ = ["assemble"]

_T = TypeVar("_T")


def assemble(
    spec: Path, kind: SpecKind, jobs: Sequence[Job], device: str | None
) -> Plan:
    """Sort ``jobs`` by type, each in its order, into the plan of ``spec``.

    ``device`` is the app's; None: the spec is of no app.
    """
    libraries, prebuilt = _only(LibraryJob, jobs), _only(PrebuiltJob, jobs)
    app, linked = _only(AppEntry, jobs), None
    if device is not None:
        app = for_device(device, app)
        linked = static_lib(device, libraries, prebuilt, app)
    return Plan(
        spec=spec,
        kind=kind,
        weights=_only(WeightsJob, jobs),
        libraries=libraries,
        bundles=_only(BundleJob, jobs),
        app=app,
        prebuilt=prebuilt,
        static_lib=linked,
    )


def _only(wanted: type[_T], jobs: Iterable[Job]) -> tuple[_T, ...]:
    return tuple(job for job in jobs if isinstance(job, wanted))
