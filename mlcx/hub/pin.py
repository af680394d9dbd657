"""Pin a repository: find its commit, and the hash of each file that a build needs.

The hub knows the SHA-256 of large files. Of the others it knows the id in git, which is
a SHA-1: those, a few megabytes, are downloaded, held against it, and hashed.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlcx.artifact import read_json
from mlcx.errors import BuildError, UsageError
from mlcx.hub.choose import RENAMED, kind_of, shards_of, texts_of
from mlcx.hub.fetch import Fetch, Progress, digest
from mlcx.hub.remote import Hub, Listing, RemoteFile
from mlcx.spec.folder import CONFIGS
from mlcx.spec.hub import HubSettings, Repository
from mlcx.spec.lock import LockedFile, LockedModel, is_plain

__all__ = ["pin"]

_COMMIT = re.compile("[0-9a-f]{40}")
_LARGEST_CONFIG = 1 << 20
"""Bytes of a config that is kept in a lock file."""


def pin(
    hub: Hub, repository: Repository, settings: HubSettings, progress: Progress
) -> LockedModel:
    """Return what ``repository`` is now.

    Its small files come into the folder where ``settings`` keep its commit.

    Raises:
        UsageError: There is no such repository, or no model in it.
        BuildError: The hub cannot be reached, or contradicts itself.
    """
    listing = hub.listing(repository)
    if not _COMMIT.fullmatch(listing.commit):
        message = f"{settings.endpoint} names no commit of {repository}"
        raise BuildError(f"{message}, but {listing.commit!r}: is it a hub?")
    folder = settings.folder(repository, listing.commit)
    fetch = Fetch(repository, listing.commit, folder, hub, progress)
    with fetch.locked():
        try:
            return _Pinning(repository, listing, folder, fetch).model()
        except UsageError as error:
            raise UsageError(f"{repository}: {error}") from error


class _Pinning:
    """Looks at the files of one commit."""

    def __init__(
        self, repository: Repository, listing: Listing, folder: Path, fetch: Fetch
    ) -> None:
        self._repository = repository
        self._commit = listing.commit
        # What lies in folders, or is named in no plain way, no build needs.
        self._files = {each.name: each for each in listing.files if is_plain(each.name)}
        self._folder = folder
        self._fetch = fetch

    def model(self) -> LockedModel:
        """Return what the commit is."""
        names = self._files.keys()
        kind = kind_of(names)
        config = self._config(CONFIGS[kind])
        wanted = {
            *texts_of(kind, names, self._read),
            *shards_of(kind, names, self._read),
        }
        files = tuple(self._locked(self._files[name]) for name in sorted(wanted))
        return LockedModel(self._repository, self._commit, kind, config, files)

    def _config(self, name: str) -> dict[str, Any]:
        size = self._files[name].size
        if size > _LARGEST_CONFIG:
            message = f"{name} has {size} bytes, expected {_LARGEST_CONFIG} at most"
            raise UsageError(message)
        return self._read(name)

    def _read(self, name: str) -> dict[str, Any]:
        return read_json(self._folder / self._obtain(self._files[name]).name)

    def _locked(self, file: RemoteFile) -> LockedFile:
        if file.sha256 is not None:
            return replace(_named(file), sha256=file.sha256)
        here = self._obtain(file)
        return replace(here, sha256=digest(self._folder / here.name))

    def _obtain(self, file: RemoteFile) -> LockedFile:
        """Make the folder have ``file``, held against what the hub knows of it."""
        here = _named(file)
        kind, expected = ("sha256", file.sha256) if file.sha256 else ("git", file.blob)
        if not re.fullmatch(
            "[0-9a-f]{64}" if file.sha256 else "[0-9a-f]{40}", expected
        ):
            raise BuildError(f"the hub names no hash of {file.name}: {expected!r}")
        path = self._folder / here.name
        there = path.is_file() and path.stat().st_size == file.size
        if there and digest(path, kind) == expected:
            return here
        self._fetch.obtain(here, expected, kind)
        return here


def _named(file: RemoteFile) -> LockedFile:
    """Return ``file`` under its name here, without a hash."""
    name = RENAMED.get(file.name, file.name)
    source = file.name if name != file.name else ""
    return LockedFile(name, file.size, "", source)
