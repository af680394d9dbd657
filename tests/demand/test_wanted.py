"""What a program asks for is stored as a build stores it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlcx.demand.wanted import wanted
from mlcx.signature.key import key
from mlcx.spec.devices import DEVICES
from mlcx.spec.digest import digest_file
from mlcx.spec.opt import canonical
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
@pytest.mark.parametrize(
    ("device", "prefix", "opt"),
    [("cpu", None, "O2"), ("cuda", None, "O3"), ("iphone", "my-model", "O2")],
)
def test_the_keys_are_those_of_a_build(
    model: Path, tmp_path: Path, device: str, prefix: str | None, opt: str, kind: str
) -> None:
    preset = DEVICES[device]
    job = LibraryJob(
        "model",
        tmp_path / "checkpoint" if kind == "checkpoint" else model,
        "checkpoint" if kind == "checkpoint" else "mlc",
        "q4f16_1" if kind == "checkpoint" else None,
        device,
        canonical(opt, preset),
        tuple(sorted(OVERRIDES.items())),
        None if prefix is None else canonical_prefix(prefix),
        "auto",
        "auto",
        f"lib/model{preset.suffix}",
    )
    config, folders = model / "mlc-chat-config.json", Folders(tmp_path, tmp_path)
    steps = list(library(job, config, tmp_path / job.library, folders))
    normal = steps[0].targets[0]
    normal.parent.mkdir(parents=True, exist_ok=True)
    normal.write_text("what compiling reads")

    asked = wanted(model, {**OVERRIDES, "opt": opt}, device, prefix, {})
    made = {
        "normalize": key(asked.normalizing(), [digest_file(asked.config)], ".json"),
        "compile": key(asked.compiling(prefix), [digest_file(normal)], asked.suffix),
    }
    assert {step.verb: (keys(step) or ())[0] for step in steps} == made
