"""Builds for which a tool is missing: refused before work, or as far as they go."""

from __future__ import annotations

import json

import pytest

from .project import Project, write_json

REMEDY = (
    "mlcx: vulkan needs vulkan code generator, which compiles Vulkan's kernels and is "
    "missing: install a TVM that was built with USE_VULKAN=ON: the one on PyPI is not"
)


@pytest.fixture
def lacking(project: Project) -> Project:
    """A project for a device for which TVM has no code generator."""
    path = project.root / "mlc-package-config.json"
    write_json(path, {**json.loads(path.read_text()), "device": "vulkan"})
    return project


def test_a_missing_tool_is_named_before_the_first_step_starts(
    lacking: Project,
) -> None:
    done = lacking.scons("-Q")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [REMEDY]
    assert not (lacking.root / "dist").exists()


def test_what_needs_no_missing_tool_is_still_made(lacking: Project) -> None:
    done = lacking.scons("-Q", "-k")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == REMEDY
    assert (lacking.root / "dist/bundle/one/tensor-cache.json").exists()
    jobs = json.loads((lacking.root / "dist/report.json").read_text())["jobs"]
    failed = [job for job in jobs if job["status"] == "failed"]
    assert [job["target"] for job in failed] == ["dist/lib/one.so", "dist/lib/two.so"]
    assert all(f"mlcx: {job['error']}" == REMEDY for job in failed)


def test_a_dry_run_and_a_clean_need_no_tools(lacking: Project) -> None:
    assert lacking.scons("-n").returncode == 0
    assert lacking.scons("-c").returncode == 0
