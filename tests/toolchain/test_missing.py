"""A tool that is missing is named with its remedy before any work, whoever asks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import mlcx
from mlcx.__main__ import main
from mlcx.errors import BuildError
from mlcx.signature import inputs
from mlcx.spec.devices import DEVICES
from mlcx.toolchain.needs import report
from mlcx.toolchain.tools import TOOLS, Found

MODEL = Path(__file__).parents[1] / "tiny/llama.json"
NEEDED = {
    "tvm": ("cpu", "webgpu"),
    "linker": ("cpu", "cuda", "opencl", "rocm", "vulkan"),
    "zig": ("metal", "metal:x86-64", "mali", "windows:adreno_x86", "rocm", "webgpu"),
    "nvrtc": ("cuda",),
    "fatbinary": ("cuda",),
    "emscripten": ("webgpu", "webgpu:subgroups"),
    "emscripten sysroot": ("webgpu",),
    "rocm-device-libs": ("rocm",),
    "vulkan code generator": ("vulkan",),
}
"""Tool to devices whose libraries cannot be made without it."""


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Return what takes one tool away, and gives all others."""

    def take(missing: str) -> None:
        for name, tool in TOOLS.items():
            found = None if name == missing else Found("1", name)
            monkeypatch.setitem(TOOLS, name, replace(tool, find=lambda it=found: it))
        inputs.toolchain.cache_clear()

    monkeypatch.setenv("MLC_MULTI_ARCH", "80,90")
    yield take
    inputs.toolchain.cache_clear()


def said(device: str, tool: str) -> str:
    purpose, remedy = TOOLS[tool].purpose, TOOLS[tool].remedy
    return f"{device} needs {tool}, which {purpose} and is missing: {remedy}"


@pytest.mark.parametrize(
    ("tool", "device"),
    [(tool, device) for tool, devices in NEEDED.items() for device in devices],
)
def test_the_doctor_a_compile_and_a_program_say_the_same(
    tool: str,
    device: str,
    lacking: Callable[[str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLC_LLM_HOME", str(tmp_path / "home"))
    lacking(tool)
    assert main(["doctor", device]) == 1
    lines = capsys.readouterr().out.splitlines()
    (line,) = (each for each in lines if each.startswith("  missing"))
    assert line == f"  missing  {tool:21}  {TOOLS[tool].remedy}"
    library = tmp_path / f"made{DEVICES[device].suffix}"
    asked = ["compile", str(MODEL), "--quantization", "q0f16", "--device", device]
    assert main([*asked, "-o", str(library)]) == 1
    assert capsys.readouterr().err == f"mlcx: {said(device, tool)}\n"
    with pytest.raises(BuildError) as caught:
        mlcx.jit(MODEL, {}, device)
    assert str(caught.value) == said(device, tool)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("device", ["iphone", "macabi", "android", "android:adreno"])
def test_what_an_app_links_is_archived_by_a_tool(
    device: str, lacking: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """A library alone needs none: doctor is asked about an app."""
    lacking("zig")
    assert main(["doctor", device]) == 1
    assert "  missing  zig  " in capsys.readouterr().out
    inputs.toolchain.cache_clear()
    assert inputs.toolchain(device, "auto", ".tar")[1] == ()
    assert report(inputs.toolchain(device, "auto", ".a")[1]) == said(device, "zig")


def test_it_is_said_before_tvm_is_loaded(tmp_path: Path) -> None:
    """No release of TVM has what Vulkan needs."""
    code = (
        "import sys; from mlcx.__main__ import main; status = main(sys.argv[1:]); "
        "sys.exit(99 if 'tvm' in sys.modules else status)"
    )
    asked = ["compile", str(MODEL), "--quantization", "q0f16", "--device", "vulkan"]
    command = [sys.executable, "-c", code, *asked, "-o", str(tmp_path / "made.so")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert said("vulkan", "vulkan code generator") in done.stderr
