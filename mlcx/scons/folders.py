"""The folders of a build, refused before anything is done where they will not do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mlcx.artifact import MANIFEST
from mlcx.errors import UsageError
from mlcx.manifest.statement import is_foreign
from mlcx.report import documents
from mlcx.scons import database
from mlcx.scons.declared import Mode
from mlcx.steps.requests import Folders

__all__ = ["check", "of"]


def of(env: Any) -> Folders:
    """Return the folders that ``env`` names.

    Raises:
        UsageError: One is a file, or has no name.
    """
    return Folders(_folder(env, "OUTPUT"), _folder(env, "BUILD"))


def _folder(env: Any, variable: str) -> Path:
    if not env[variable]:
        raise UsageError(f"{variable}=: expected the name of a folder, found nothing")
    try:
        path = Path(env.fs.Top.Entry(env[variable]).get_abspath())
    except TypeError as error:  # SCons' own, of a file in place of a folder above it
        raise UsageError(f"{variable}={env[variable]}: {error}") from error
    if path.exists() and not path.is_dir():
        message = f"{variable}={env[variable]}: expected a folder, found a file"
        raise UsageError(message)
    return path


def check(top: Path, folders: Folders, mode: Mode) -> None:
    """Refuse to build in ``folders`` when that cannot go well for the user's files.

    Raises:
        UsageError: One is closed, or holds what a build would take for its own.
    """
    if mode.changes:
        _check_writable(top, folders)
        _check_own(top, folders, mode)


def _check_writable(top: Path, folders: Folders) -> None:
    kept = database.where(top)
    uses = {
        kept.parent: f"SCons keeps {kept.name} there: build in a folder of yours",
        folders.output: "what is made goes there: name another folder as OUTPUT",
        folders.build: "steps work there: name another folder as BUILD",
    }
    for folder, remedy in uses.items():
        there = next(each for each in (folder, *folder.parents) if each.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            raise UsageError(f"{there} cannot be written in, and {remedy}")


def _check_own(top: Path, folders: Folders, mode: Mode) -> None:
    """Refuse to overwrite, or to clean away, what no build has made."""
    shared = {Path(top.anchor), Path.home().resolve()}
    for folder in (folders.output, folders.build):
        if folder.resolve() in shared:
            message = f"{folder} is no folder to build in: name one for builds alone"
            raise UsageError(message)
    if top.resolve().is_relative_to(folders.build.resolve()):
        message = f"BUILD={folders.build} holds {top} itself: steps need a folder of"
        raise UsageError(f"{message} their own, such as build")
    foreign = documents.foreign(folders.output)
    manifest = folders.output / MANIFEST
    if mode.manifest and is_foreign(manifest):
        foreign.append(manifest)
    for path in foreign:
        message = f"{path} is no file of a build, which would overwrite it"
        raise UsageError(f"{message}: name another folder as OUTPUT")
