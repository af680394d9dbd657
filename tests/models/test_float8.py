"""Every architecture that is stored in 8-bit floats, next to the same one in 16 bits.

Both libraries compute with the same weights: the second one's checkpoint has what the
8-bit floats stand for. How 16 bits compare with transformers is tested elsewhere.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from float8 import in_blocks, scale_of
from numpy.typing import NDArray
from safetensors.numpy import save_file

from mlcx.__main__ import main

from .conftest import Record, traced
from .references import Arrays, checkpoint, family, text

LARGEST = {"float16": 0.02, "bfloat16": 0.1}
"""Difference of a logit: both libraries round in the same places, but for a few."""

ONCE = "40"
"""Of 60 tokens, those that go in at once; the others follow one by one."""

BLOCK = (4, 32)
"""Rows divide an expert's; not all columns come in whole blocks."""

FUSED = {
    r"experts\.\d+\.w[13]\.": "experts.e1_e3.",
    r"experts\.\d+\.w2\.": "experts.e2.",
    r"[qkv]_proj": "qkv_proj",
    r"(gate|up)_proj": "gate_up_proj",
}


def logits(
    folder: Path,
    config: dict[str, Any],
    weights: Arrays,
    quantization: str,
    library: Path | None = None,
) -> NDArray[np.float32]:
    """Return what a library computes; the checkpoint's scales keep all their bits.

    It becomes ``model.so``, compiled, or a copy of ``library``.
    """
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    save_file(weights, folder / "model.safetensors")
    common = [str(folder), "--quantization", quantization]
    common += ["-o", str(folder / "model")]
    assert main(["convert_weight", *common, "--float32", "raw"]) == 0
    chunk = ["--prefill-chunk-size", "48", "--conv-template", "LM"]
    assert main(["gen_config", *common, *chunk]) == 0
    if library:
        shutil.copy(library, folder / "model.so")
    else:
        command = ["compile", str(folder / "model"), "--device", "cpu"]
        assert main([*command, "-o", str(folder / "model.so")]) == 0
    tokens = text(config["vocab_size"])
    found: NDArray[np.float32] = traced(folder, tokens, "found.npz", "--prefill", ONCE)[
        "logits"
    ]
    return found


def is_stored(name: str) -> bool:
    """Say whether the weight ``name`` is that of a linear layer, or of an expert's."""
    return bool(re.search(r"_proj\.weight|\.w[123]\.weight", name))


def scaled(weights: Arrays) -> Arrays:
    """Return what float8_e4m3fn makes of ``weights``, those that are fused as one."""
    together = defaultdict(list)
    for name in filter(is_stored, weights):
        together[fused(name)].append(weights[name].astype(np.float16))
    scales = {name: scale_of(parts) for name, parts in together.items()}
    meant = {}
    for name, weight in weights.items():
        kept = weight.astype(np.float16)
        if is_stored(name):
            scale = scales[fused(name)]
            eighth = (kept.astype(np.float32) / scale).astype(ml_dtypes.float8_e4m3fn)
            kept = (eighth.astype(np.float32) * scale).astype(np.float16)
        meant[name] = kept
    return meant


def fused(name: str) -> str:
    """Return what the weight ``name`` is a part of."""
    for part, whole in FUSED.items():
        name = re.sub(part, whole, name)
    return name


def rounded(weights: Arrays) -> Arrays:
    """Return what float8_e5m2 makes of ``weights``."""
    return {
        name: weight.astype(np.float16).astype(ml_dtypes.float8_e5m2).astype(np.float16)
        if is_stored(name)
        else weight.astype(np.float16)
        for name, weight in weights.items()
    }


@pytest.mark.parametrize(
    ("name", "quantization"),
    [
        pytest.param("mixtral", "e4m3_e4m3_f16", marks=pytest.mark.slow),
        pytest.param("mixtral", "e5m2_e5m2_f16", marks=pytest.mark.slow),
        pytest.param("mistral", "e4m3_e4m3_f16", marks=pytest.mark.slow),
        pytest.param("olmo2", "e4m3_e4m3_f16", marks=pytest.mark.slow),
    ],
)
def test_logits_of_a_scale_for_each_weight_are_those_of_what_it_stands_for(
    name: str, quantization: str, tmp_path: Path, record: Record
) -> None:
    cases = family(name)
    config = cases.cases[cases.first]
    weights = checkpoint(cases.arrays(), cases.first)
    meant = (scaled if quantization.startswith("e4m3") else rounded)(weights)
    expected = logits(tmp_path / "meant", config, meant, "q0f16")
    library = tmp_path / "meant" / "model.so"
    plain = logits(tmp_path / "plain", config, weights, "q0f16", library)
    found = logits(tmp_path / "stored", config, weights, quantization)
    difference = abs(found - expected).max()
    record(name, quantization, "logits", difference)
    assert difference < LARGEST["float16"]
    # The weights before they were rounded would have shown.
    assert difference < abs(found - plain).max() / 2


@pytest.mark.slow
def test_logits_of_blocks_are_those_of_what_they_stand_for(
    tmp_path: Path, record: Record
) -> None:
    cases, quantization = family("qwen3_moe"), "fp8_e4m3fn_bf16_block_scale"
    config = cases.cases[cases.first]
    fp8 = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": list(BLOCK)}
    random = np.random.default_rng(4)
    stored: Arrays = {}
    meant: Arrays = {}
    for name, weight in checkpoint(cases.arrays(), cases.first).items():
        meant[name] = stored[name] = weight.astype(ml_dtypes.bfloat16)
        if is_stored(name):
            stored[name], scales, values = in_blocks(weight, BLOCK, random)
            stored[f"{name}_scale_inv"] = scales
            meant[name] = values.astype(ml_dtypes.bfloat16)
    expected = logits(tmp_path / "meant", config, meant, "q0bf16")
    given = config | {"quantization_config": fp8}
    found = logits(tmp_path / "stored", given, stored, quantization)
    difference = abs(found - expected).max()
    record("qwen3_moe", quantization, "logits", difference)
    assert difference < LARGEST["bfloat16"]
