"""How long building the sample takes: first, and again when nothing has changed.

Recipe: ``python benchmarks/build.py`` on a quiet machine. Builds the sample in a copy
of what a checkout needs, once from nothing and then --runs times with nothing to do,
each of these followed by ``scons --version``, which loads SCons and does nothing. What
counts is the median. Prints JSON, then a table.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
NEEDED = ("SConstruct", "site_scons", "specs", "schemas")


def seconds(folder: Path, *arguments: str) -> float:
    """Return the seconds of one run of SCons in ``folder``."""
    command = [sys.executable, "-m", "SCons", *arguments]
    begin = time.perf_counter()
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def copy_checkout(folder: Path) -> None:
    """Put what a build of the sample reads into ``folder``."""
    for name in NEEDED:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, folder / name)


def main() -> None:
    """Build, build again, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_checkout(folder)
        first = seconds(folder, f"-j{args.jobs}")
        turns = [
            (seconds(folder), seconds(folder, "--version")) for _ in range(args.runs)
        ]
    null, version = (statistics.median(column) for column in zip(*turns, strict=True))
    rows = {"first build": first, "null build": null, "scons --version": version}
    print(json.dumps({key: round(value, 3) for key, value in rows.items()}, indent=2))
    for key, value in rows.items():
        print(f"{key:16} {value:7.3f} s")


if __name__ == "__main__":
    main()
