"""Builds for which a tool is missing: refused before work, or as far as they go."""

from __future__ import annotations

import json

import pytest

from mlcx.toolchain.tools import TOOLS

from .project import Project, write_json

SPEC = "mlc-package-config.json"
REMEDY = (
    "mlcx: vulkan needs vulkan code generator, which compiles Vulkan's kernels and is "
    "missing: install a TVM that was built with USE_VULKAN=ON: the one on PyPI is not"
)


@pytest.fixture
def lacking(project: Project) -> Project:
    """A project for a device for which TVM has no code generator."""
    path = project.root / SPEC
    write_json(path, {**json.loads(path.read_text()), "device": "vulkan"})
    return project


def test_a_missing_tool_is_named_before_the_first_step_starts(
    lacking: Project,
) -> None:
    done = lacking.scons("-Q")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [REMEDY]
    assert not (lacking.root / "dist").exists()
    assert not (lacking.root / "build").exists()


def test_several_missing_tools_are_one_message(project: Project) -> None:
    script = project.root / "SConstruct"
    script.write_text(TAKEN.format(missing=("linker", "nvrtc")) + script.read_text())
    write_json(project.root / "delivery.json", delivery("cpu", "cuda"))
    done = project.scons("-Q", "delivery.json")
    linker, nvrtc = (TOOLS[name].remedy for name in ("linker", "nvrtc"))
    assert done.stderr.splitlines() == [
        "mlcx: tools are missing:",
        f"  linker, which links for this machine, for cpu, cuda: {linker}",
        f"  nvrtc, which compiles CUDA's kernels, for cuda: {nvrtc}",
    ]
    cache = str(project.control / "cache")
    shown = project.scons("-n", "delivery.json", MLCX_CACHE_DIR=cache).stdout
    links = f"which links for this machine and is missing: {linker}"
    assert f"cuda needs linker, {links}; and 1 more" in shown
    assert "2 refused" in shown.splitlines()[-1]
    assert "unless cached" not in shown


def delivery(*devices: str) -> dict[str, object]:
    return {
        "tasks": [{"model_id": "one", "model": "models/one"}],
        "default_compile_options": [{"device": device} for device in devices],
        "default_quantization": ["q4f16_1"],
        "binary_libs_dir": "libs",
    }


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


TAKEN = """
from dataclasses import replace
from mlcx.toolchain.tools import TOOLS, Found
for name, tool in TOOLS.items():
    found = None if name in {missing!r} else Found("1", name)
    TOOLS[name] = replace(tool, find=lambda found=found: found)
"""
"""Of a script: takes some tools away, and gives all others."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tool", "device"),
    [
        ("tvm", "cpu"),
        ("linker", "cpu"),
        ("nvrtc", "cuda"),
        ("fatbinary", "cuda"),
        ("rocm-device-libs", "rocm"),
        ("zig", "metal"),
        ("zig", "iphone"),
        ("zig", "macabi"),
        ("zig", "android"),
        ("zig", "windows:adreno_x86"),
        ("zig", "webgpu"),
        ("emscripten", "webgpu"),
        ("emscripten sysroot", "webgpu"),
    ],
)
def test_each_tool_is_named_and_nothing_is_started(
    project: Project, tool: str, device: str
) -> None:
    script, spec = (project.root / name for name in ("SConstruct", SPEC))
    script.write_text(TAKEN.format(missing=(tool,)) + script.read_text())
    write_json(spec, {**json.loads(spec.read_text()), "device": device})
    before = {path for path in project.root.rglob("*") if "site_scons" not in str(path)}
    done = project.scons("-Q", MLC_MULTI_ARCH="80,90")
    assert done.returncode == 1
    purpose, remedy = TOOLS[tool].purpose, TOOLS[tool].remedy
    said = f"mlcx: {device} needs {tool}, which {purpose} and is missing: {remedy}\n"
    assert (done.stderr, done.stdout) == (said, "")
    assert project.calls() == []
    after = {path for path in project.root.rglob("*") if "site_scons" not in str(path)}
    assert after == before
