"""Builds to which nobody listens: all is written down, and the status says it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .project import Project

FULL = Path("/dev/full")


def build_into(project: Project, output: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mlcx", "package", "--manifest"],
        cwd=project.root,
        env={**os.environ, **project.environ},
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


def is_listed(project: Project) -> bool:
    manifest = json.loads((project.root / "dist/manifest.json").read_text())
    return "lib/two.so" in {each["name"] for each in manifest["subject"]}


def test_a_pipe_that_is_closed_is_a_quiet_failure(built: Project) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = build_into(built, writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
    assert is_listed(built)


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has such a device")
def test_a_disk_that_is_full_of_the_output_is_named(built: Project) -> None:
    with FULL.open("w") as full:
        done = build_into(built, full.fileno())
    said = "mlcx: the output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, said)
    assert is_listed(built)
