"""Every shader of libraries for the web, checked by Dawn, which is Chromium's WebGPU.

A device has the features that a library says it needs and no other: what uses more is
refused, on a page too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlcx.__main__ import main
from mlcx.library.contents import read

from ..models import references
from ..support.web import MODEL, run, slow

pytestmark = slow
SCRIPT = Path(__file__).parent / "pipelines.mjs"
GOLDEN = "llama_gqa"
HALVES = "shader-f16"
LOOKED_UP = """
    _metadata embed prefill decode batch_prefill batch_decode create_tir_paged_kv_cache
    apply_bitmask_inplace apply_penalty_inplace apply_logit_bias_inplace
    softmax_with_temperature sample_with_top_p argsort_probs
""".split()
"""Functions that web-llm looks up when it loads a library of a chat model."""


def compiled(model: str, case: str, scheme: str, device: str, folder: Path) -> Path:
    config = MODEL
    if model != GOLDEN:
        config = folder / "config.json"
        cases = references.family(model).cases
        config.write_text(
            json.dumps(cases[case] if case else next(iter(cases.values())))
        )
    library = folder / "model.wasm"
    command = ["compile", str(config), "--quantization", scheme, "--device", device]
    assert main([*command, "-o", str(library)]) == 0
    return library


def checked(library: Path, features: list[str], folder: Path) -> Any:
    """Return what was refused, once every kernel was checked and nothing is missing."""
    asked = {"library": str(library), "features": features}
    found = run(SCRIPT, {**asked, "functions": [*LOOKED_UP, "no_such"]}, folder)
    assert found["missing"] == ["no_such"]
    model = read(library).models[0]
    assert model.executable is not None
    (device,) = model.executable.devices
    assert sorted(found["checked"]) == list(device.kernels)
    return found["refused"]


@pytest.mark.parametrize(
    ("model", "case", "scheme", "device"),
    [
        (GOLDEN, "", "q4f16_1", "webgpu"),
        (GOLDEN, "", "q4f16_1", "webgpu:subgroups"),
        (GOLDEN, "", "q0f16", "webgpu"),
        (GOLDEN, "", "q4f32_1", "webgpu"),
        (GOLDEN, "", "q4f32_1", "webgpu:subgroups"),
        ("gpt_neox", "", "q4f16_1", "webgpu"),
        ("gpt_neox", "", "q4f32_1", "webgpu:subgroups"),
        ("mixtral", "", "q4f16_1", "webgpu"),
        ("mixtral", "", "q4f32_1", "webgpu:subgroups"),
        # Attention of our own: soft caps, windows of layers, a cache that slides.
        ("gemma2", "", "q4f16_1", "webgpu"),
        ("gemma2", "", "q4f32_1", "webgpu:subgroups"),
        ("mistral", "a window of 20", "q4f16_1", "webgpu"),
        ("mistral", "wide heads, a window of 33", "q4f32_1", "webgpu"),
    ],
)
def test_every_shader_is_one_that_a_page_can_load(
    model: str, case: str, scheme: str, device: str, tmp_path: Path
) -> None:
    library = compiled(model, case, scheme, device, tmp_path)
    features = [HALVES] if "f16" in scheme else []
    features += ["subgroups"] if device == "webgpu:subgroups" else []
    assert checked(library, features, tmp_path) == {}


SPOILT = [
    (b"@compute @workgroup_size(256", b"@compute @morkgroup_size(256", "attribute"),
    (b"@compute @workgroup_size(256", b"@compute @workgroup_size(999", "999"),
]
"""Bytes of a shader to as many others, as its length is written before it."""


def test_a_wrong_shader_is_refused_and_so_is_a_device_without_halves(
    tmp_path: Path,
) -> None:
    """Else the test above would hold for any library."""
    library = compiled(GOLDEN, "", "q4f16_1", "webgpu", tmp_path)
    refused = checked(library, [], tmp_path)
    assert refused
    assert all("'f16' is not allowed" in reason for reason in refused.values())
    content = library.read_bytes()
    for right, wrong, reason in SPOILT:
        at = content.rindex(right, 0, content.index(b"fn apply_penalty_inplace"))
        library.write_bytes(content[:at] + wrong + content[at + len(right) :])
        refused = checked(library, [HALVES], tmp_path)
        assert list(refused) == ["apply_penalty_inplace_kernel"]
        assert reason in refused["apply_penalty_inplace_kernel"]
