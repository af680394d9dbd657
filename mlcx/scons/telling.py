"""What a dry run says instead of building."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from pathlib import Path

import SCons.CacheDir

from mlcx.report.outlook import shown
from mlcx.scons.foresight import Foresight, Setting
from mlcx.scons.screen import width
from mlcx.scons.step import Services
from mlcx.spec.resolve import hub_settings
from mlcx.steps.requests import Folders, Request

__all__ = ["told"]


def told(
    top: Path,
    folders: Folders,
    services: Services,
    declared: Iterable[Request],
    asked: Collection[str],
) -> str:
    """Return a table of what a build would do.

    Args:
        top: The folder in which builds run.
        folders: Of the build.
        services: Of the steps.
        declared: All that the build could make.
        asked: The targets that it would look at.
    """
    cache = services.cache if SCons.CacheDir.cache_enabled else None
    setting = Setting(folders, services.policy, hub_settings().policy, cache)
    rows = Foresight(top, setting, services.journal, declared).all()
    return shown([row for row in rows if row.target in asked], width(sys.stdout))
