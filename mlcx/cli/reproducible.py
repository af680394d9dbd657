"""Build a spec twice, as differently as may be, and compare what was made."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["Build", "check"]

_OWN = {"report.json", "report.md", "report.html"}
"""They say when."""

_LISTED = 20

Build = Callable[[Path, list[str], Mapping[str, str]], int]
"""Runs SCons: in a folder, with these options and this environment."""


def check(build: Build, jobs: int) -> int:
    """Build twice by ``build``, and say whether the two ``dist`` are equal.

    The folders, the time, the number of steps at a time, the order of Python's sets and
    the time zone differ. Nothing is taken from a cache. Folders that differ are kept.

    Returns:
        0 equal, 1 different or not built.
    """
    root = Path(tempfile.mkdtemp(prefix="mlcx-reproducible-", dir=Path.cwd()))
    folders = (root / "one", root / "another" / "and-deeper")
    ways = ((1, "1", "UTC"), (max(jobs, 2), "2", "Asia/Kathmandu"))
    for folder, (steps, seed, zone) in zip(folders, ways, strict=True):
        print(f"mlcx: building in {folder} with -j{steps}", flush=True)
        folder.mkdir(parents=True)
        environ = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone}
        begin = time.time()
        if build(folder, [f"-j{steps}", "--cache-disable", "MANIFEST=1"], environ):
            print(f"mlcx: not compared: the build in {folder} failed", file=sys.stderr)
            return 1
        time.sleep(max(0.0, begin + 2 - time.time()))  # time stamps are whole seconds
    return _compare(root, *folders)


def _compare(root: Path, one: Path, two: Path) -> int:
    from mlcx.manifest.compare import differences, files

    made = {name for name in files(one / "dist") if name not in _OWN}
    pair = (one / "dist", two / "dist")
    found = list(differences(*pair, lambda name: name not in _OWN))
    if not found:
        size = sum((one / "dist" / name).stat().st_size for name in made)
        print(f"mlcx: reproducible: {len(made)} files, {size} bytes, are equal")
        shutil.rmtree(root)
        return 0
    for each in found[:_LISTED]:
        print(f"mlcx: {each}", file=sys.stderr)
    if len(found) > _LISTED:
        print(f"mlcx: and {len(found) - _LISTED} more", file=sys.stderr)
    message = f"{len(found)} of {len(made)} files differ; both builds are in {root}"
    print(f"mlcx: not reproducible: {message}", file=sys.stderr)
    return 1
