"""Build a spec twice, as differently as may be, and compare what was made."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from mlcx.artifact import REPORTS
from mlcx.home import VARIABLE
from mlcx.spec.hub import HubSettings

__all__ = ["Build", "check"]

_LISTED = 20
_SIGNALLED = 128
"""What a status is above when a signal ended a process; the rest is its number."""
_INTERRUPTED = _SIGNALLED + signal.SIGINT

Build = Callable[[Path, list[str], Mapping[str, str]], int]
"""Runs SCons: in a folder, with these options and this environment."""


def check(build: Build, jobs: int) -> int:
    """Build twice by ``build``, and say whether the two ``dist`` are equal.

    The folders, the time, the number of steps at a time, the order of Python's sets,
    the time zone, the locale and the rights of new files differ. Nothing is taken from
    what builds keep in the user's folder but models. Folders that differ are kept.

    Returns:
        0 equal, 1 different or not built, 128 and its number after a signal.

    Raises:
        KeyboardInterrupt: One of them was interrupted.
    """
    root = Path(tempfile.mkdtemp(prefix="mlcx-reproducible-", dir=Path.cwd()))
    status = _INTERRUPTED
    try:
        status = _check(root, build, jobs)
    finally:
        if status == 0 or status > _SIGNALLED:
            shutil.rmtree(root, ignore_errors=True)
    if status == _INTERRUPTED:
        raise KeyboardInterrupt
    return status


def _check(root: Path, build: Build, jobs: int) -> int:
    folders = (root / "one", root / "another" / "and-deeper")
    ways = (
        (1, 0o022, {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C.UTF-8"}),
        (
            max(jobs, 2),
            0o077,
            {"PYTHONHASHSEED": "2", "TZ": "Asia/Kathmandu", "LC_ALL": "C"},
        ),
    )
    for folder, (steps, mask, around) in zip(folders, ways, strict=True):
        print(f"mlcx: building in {folder} with -j{steps}", flush=True)
        folder.mkdir(parents=True)
        begin, home = time.time(), _home(folder)
        environ = {**os.environ, **around, VARIABLE: str(home)}
        with _masked(mask):
            failed = build(
                folder, [f"-j{steps}", "--cache-disable", "MANIFEST=1"], environ
            )
        if failed > _SIGNALLED:
            return failed
        if failed:
            told = f"see {folder / 'dist/report.json'}"
            print(f"mlcx: not compared: a build failed, {told}", file=sys.stderr)
            return 1
        time.sleep(max(0.0, begin + 2 - time.time()))  # time stamps are whole seconds
    return _compare(root, *folders)


def _home(folder: Path) -> Path:
    """Make a user's folder below ``folder``, with the models of the real one."""
    models = HubSettings.of(os.environ).weights
    with contextlib.suppress(OSError):  # who needs it will say so
        models.mkdir(parents=True, exist_ok=True)
    made = folder / "home"
    made.mkdir()
    (made / models.name).symlink_to(models)
    return made


@contextlib.contextmanager
def _masked(mask: int) -> Iterator[None]:
    """Let what is started have the umask ``mask``."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def _compare(root: Path, one: Path, two: Path) -> int:
    from mlcx.manifest.compare import differences, files

    # Reports say when.
    made = {name for name in files(one / "dist") if name not in REPORTS}
    pair = (one / "dist", two / "dist")
    found = list(differences(*pair, lambda name: name not in REPORTS))
    if not found:
        size = sum((one / "dist" / name).stat().st_size for name in made)
        print(f"mlcx: reproducible: {len(made)} files, {size} bytes, are equal")
        return 0
    for each in found[:_LISTED]:
        print(f"mlcx: {each}", file=sys.stderr)
    if len(found) > _LISTED:
        print(f"mlcx: and {len(found) - _LISTED} more", file=sys.stderr)
    message = f"{len(found)} of {len(made)} files differ; both builds are in {root}"
    print(f"mlcx: not reproducible: {message}", file=sys.stderr)
    return 1
