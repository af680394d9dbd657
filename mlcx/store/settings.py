"""Where the cache of builds is, as the environment says it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlcx.errors import UsageError
from mlcx.home import home
from mlcx.store.cache import Cache, Level
from mlcx.store.folder import FolderStore
from mlcx.store.locks import LOCKS, Locks

__all__ = ["FOLDER", "NONE", "READONLY", "URL", "Settings", "open_cache", "settings"]

FOLDER = "MLCX_CACHE_DIR"
URL = "MLCX_CACHE_URL"
READONLY = "MLCX_CACHE_READONLY"
NONE = "none"
"""What stands for a level that is switched off."""

_FOLDER = "build_cache"
"""Of the cache, in the user's folder."""

_SWITCH = {"": False, "0": False, "1": True}


@dataclass(frozen=True)
class Settings:
    """Where the levels are; None: there is no such level."""

    folder: Path | None
    url: str | None
    readonly: bool = False


def settings(
    environ: Mapping[str, str] = os.environ, *, folder: str = "", url: str = ""
) -> Settings:
    """Return what ``environ`` says, where ``folder`` and ``url`` say nothing.

    Raises:
        UsageError: A variable has a value that means nothing.
    """
    given = folder or environ.get(FOLDER) or str(home(environ) / _FOLDER)
    place = url or environ.get(URL) or NONE
    switch = environ.get(READONLY, "")
    if switch not in _SWITCH:
        raise UsageError(f"{READONLY}: expected 0 or 1, found {switch!r}")
    return Settings(
        None if given == NONE else Path(given).expanduser().absolute(),
        None if place == NONE else place,
        _SWITCH[switch],
    )


def open_cache(chosen: Settings, warn: Callable[[str], None]) -> Cache | None:
    """Return the cache that is ``chosen``; None: it is switched off.

    Raises:
        UsageError: The URL is not one of an object store, or obstore is missing.
    """
    levels: list[Level] = []
    locks = None
    if chosen.folder is not None:
        levels.append(FolderStore(chosen.folder))
        # A lock is a file, and who stores nothing has nothing to wait for.
        locks = None if chosen.readonly else Locks(chosen.folder / LOCKS)
    if chosen.url is not None:
        # Most have one level, and a build with nothing to do is over at once.
        from mlcx.store.objects import ObjectStore  # noqa: PLC0415
        from mlcx.store.remote import RemoteStore  # noqa: PLC0415

        levels.append(RemoteStore(ObjectStore(chosen.url)))
    if not levels:
        return None
    return Cache(levels, warn, readonly=chosen.readonly, locks=locks)
