"""What a program asks for is stored as a build stores it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlcx.demand import wanted as module
from mlcx.demand.wanted import wanted
from mlcx.spec.devices import DEVICES
from mlcx.spec.opt import canonical
from mlcx.spec.options import archs_for, host_for
from mlcx.spec.prefix import canonical_prefix
from mlcx.spec.types import LibraryJob
from mlcx.steps.keys import keys
from mlcx.steps.requests import Folders, library

OVERRIDES = {"prefill_chunk_size": 32, "context_window_size": 64}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    says = {"model_type": "llama", "quantization": "q4f16_1", "model_config": {}}
    (folder / "mlc-chat-config.json").write_text(json.dumps(says))
    return folder


@pytest.mark.parametrize("kind", ["checkpoint", "mlc"])
@pytest.mark.parametrize("opt", ["O2", "O3"])
@pytest.mark.parametrize("device", DEVICES)
def test_the_keys_are_those_of_a_build(
    model: Path, tmp_path: Path, device: str, opt: str, kind: str
) -> None:
    preset = DEVICES[device]
    prefix = "my-model" if preset.static else None
    job = LibraryJob(
        "model",
        tmp_path / "checkpoint" if kind == "checkpoint" else model,
        "checkpoint" if kind == "checkpoint" else "mlc",
        "q4f16_1" if kind == "checkpoint" else None,
        device,
        canonical(opt, preset),
        tuple(sorted(OVERRIDES.items())),
        None if prefix is None else canonical_prefix(prefix),
        host_for(preset, "auto"),
        "auto",
        f"lib/model{preset.suffix}",
        archs=archs_for(preset, None),
    )
    config, folders = model / "mlc-chat-config.json", Folders(tmp_path, tmp_path)
    steps = list(library(job, config, tmp_path / job.library, folders))
    there = {step.verb: step.targets[0] for step in steps}
    for verb in there.keys() - {"compile"}:
        there[verb].parent.mkdir(parents=True, exist_ok=True)
        there[verb].write_text(f"what {verb} makes")

    asked = wanted(model, {**OVERRIDES, "opt": opt}, device, prefix, {})
    runtime = there.get("web_runtime")
    compiling = asked.compiling(there["normalize"], prefix, runtime)
    made = {"normalize": asked.normalizing().key, "compile": compiling.key}
    if runtime is not None:
        made["web_runtime"] = asked.web_runtime(()).key
    assert asked.links_runtime == (runtime is not None)
    assert {step.verb: (keys(step) or ())[0] for step in steps} == made


@pytest.mark.parametrize(
    ("file", "device"),
    [
        ("dev/nvidia0", "cuda"),
        ("dev/nvidia3", "cuda"),  # as in a container that was given one of four
        ("usr/lib/wsl/lib/libcuda.so.1", "cuda"),
        ("dev/nvidiactl", "cpu"),
        ("usr/lib/wsl/lib/libdxcore.so", "cpu"),  # of another maker
    ],
)
def test_any_gpu_of_nvidia_is_taken_before_the_cpu(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, device: str
) -> None:
    for name in (file, "tvm/lib/libtvm_runtime_cuda.so"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(module, "_ROOT", tmp_path)
    monkeypatch.setattr(module, "folder_of", lambda _: tmp_path / "tvm")
    assert wanted(model, {}, "auto", None, {}).device.name == device


def test_a_mac_takes_metal(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert wanted(model, {}, "auto", None, {}).device.name == "metal"


@pytest.mark.parametrize(
    ("system", "asked", "suffix"),
    [
        ("linux", None, ".so"),
        ("darwin", None, ".so"),
        ("darwin", "dylib", ".dylib"),
        ("win32", None, ".dll"),
        ("win32", "dll", ".dll"),
    ],
)
def test_a_library_has_a_suffix_that_this_machine_takes(
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    asked: str | None,
    suffix: str,
) -> None:
    monkeypatch.setattr("sys.platform", system)
    environ = {"MLC_DSO_SUFFIX": asked} if asked else {}
    assert wanted(model, {}, "cpu", None, environ).suffix == suffix
