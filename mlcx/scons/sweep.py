"""What is left to remove when SCons has cleaned: our own files, and empty folders."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from mlcx.reasons.record import Records
from mlcx.reasons.standing import FOLDER as STANDING
from mlcx.report import documents
from mlcx.report.journal import JOURNAL
from mlcx.scons import provenance
from mlcx.scons.declared import VALID, Declared
from mlcx.scons.former import FOLDER as ASKED
from mlcx.scons.former import Former
from mlcx.steps.requests import Folders

__all__ = ["sweep"]


def sweep(
    top: Path, folders: Folders, records: Records, declared: Iterable[Declared]
) -> None:
    """Remove what is no target: all of it once no target of ``declared`` is left.

    What tells of products that no spec makes any more stays as long as they do.
    """
    steps = list(declared)
    targets = [top / path for each in steps for path in _own(each)]
    targets += [records.path(each.step.target) for each in steps]
    if not any(path.exists() for path in targets):
        _remove_notes(folders)
        if not Former(top, folders, records).stays():
            _remove_files(folders.build / ASKED)
            records.clear()
    for folder in _folders(targets, (folders.output, folders.build)):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _remove_notes(folders: Folders) -> None:
    names = (VALID, JOURNAL, provenance.HASHES)
    files = [*documents.paths(folders.output), *map(folders.build.joinpath, names)]
    for path in files:
        path.unlink(missing_ok=True)
    _remove_files(folders.build / STANDING)


def _remove_files(folder: Path) -> None:
    for path in folder.glob("*"):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _own(declared: Declared) -> tuple[str, ...]:
    """Return what a step made for its own build."""
    step = declared.step
    return (step.log,) if declared.request.is_shared else (*step.targets, step.log)


def _folders(files: Iterable[Path], roots: tuple[Path, ...]) -> list[Path]:
    """Return the folders of ``files`` up to the ``roots``, the deepest first."""
    parents = {parent for file in files for parent in file.parents}
    below = {each for each in parents if any(root in each.parents for root in roots)}
    return sorted(below | {*roots}, key=lambda path: len(path.parts), reverse=True)
