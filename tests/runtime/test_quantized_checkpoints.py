"""Checkpoints that are quantized already: converted, compiled and run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import deserialize
from safetensors.numpy import load_file, save_file

from mlcx.__main__ import main
from mlcx.quant.plain import dtype_named
from mlcx.quant.scheme import SCHEMES

from .conftest import Build, characters
from .numpy_llama import logits, random_checkpoint
from .quantized_checkpoints import AWQ, FP8, GPTQ, LLAMA, QWEN3, write_awq, write_fp8
from .test_schemes import TOKENS, TOLERANCES, meant

Record = Callable[..., None]
Write = Callable[[Path], object]

BLOCKS = "fp8_e4m3fn_bf16_block_scale"


def convert(folder: Path, quantization: str) -> int:
    command = ["convert_weight", str(folder), "--quantization", quantization]
    return main([*command, "-o", str(folder / "out")])


def shards(folder: Path) -> dict[str, bytes]:
    """Return all that was converted, by name."""
    out, found = folder / "out", {}
    for shard in json.loads((out / "tensor-cache.json").read_text())["records"]:
        data = (out / shard["dataPath"]).read_bytes()
        for each in shard["records"]:
            start = each["byteOffset"]
            found[each["name"]] = data[start : start + each["nbytes"]]
    return found


def check_logits(
    folder: Path,
    quantization: str,
    build: Build,
    record: Record,
    config: Mapping[str, Any],
    weights: Mapping[str, NDArray[Any]],
) -> None:
    characters().save(str(folder / "tokenizer.json"))
    files = build(folder, quantization)
    command = ["logits", str(files.directory), "--model-lib", str(files.library)]
    command += ["--tokens", ",".join(map(str, TOKENS)), "--prefill", "7"]
    assert main([*command, "-o", str(folder / "found.npz")]) == 0
    with np.load(folder / "found.npz") as arrays:
        found = arrays["logits"]
    difference = abs(found - logits(config, weights, TOKENS)).max()
    record(f"{config['model_type']}, random", quantization, "logits", difference)
    assert difference < TOLERANCES[SCHEMES[quantization].model_dtype]


@pytest.mark.slow
def test_logits_of_awq_are_those_of_numpy(
    tmp_path: Path, build: Build, record: Record
) -> None:
    weights = write_awq(tmp_path / "awq")
    check_logits(tmp_path / "awq", "q4f16_autoawq", build, record, LLAMA, weights)


@pytest.mark.parametrize(
    "static", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["", "static"]
)
def test_logits_of_blocks_are_those_of_numpy(
    static: bool, tmp_path: Path, build: Build, record: Record
) -> None:
    weights = write_fp8(tmp_path / "fp8", (lambda _: 0.25) if static else None)
    name = BLOCKS + "_static_activation" * static
    check_logits(tmp_path / "fp8", name, build, record, QWEN3, weights)


@pytest.mark.slow
def test_logits_of_faster_transformer_are_those_of_numpy(
    tmp_path: Path, build: Build, record: Record
) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA))
    plain = random_checkpoint(LLAMA, seed=5)
    save_file(plain, folder / "model.safetensors")
    scheme = SCHEMES["q4f16_ft"]
    weights = {name: meant(name, each, scheme) for name, each in plain.items()}
    check_logits(folder, "q4f16_ft", build, record, LLAMA, weights)


def test_gptq_becomes_the_same_files_as_awq(tmp_path: Path) -> None:
    write_awq(tmp_path / "awq")
    write_awq(tmp_path / "gptq", as_gptq=True)
    assert convert(tmp_path / "awq", "q4f16_autoawq") == 0
    assert convert(tmp_path / "gptq", "q4f16_autoawq") == 0
    found = shards(tmp_path / "awq")
    assert found == shards(tmp_path / "gptq")
    module = "model.layers.1.mlp."
    source = load_file(tmp_path / "awq" / "model.safetensors")
    parts = [source[f"{module}{part}_proj.qweight"] for part in ("gate", "up")]
    beside = np.concatenate(parts, axis=1)
    assert found[f"{module}gate_up_proj.qweight"] == beside.tobytes()


def test_weights_in_blocks_are_stored_as_they_are(tmp_path: Path) -> None:
    write_fp8(tmp_path / "fp8", lambda _: 0.25)
    assert convert(tmp_path / "fp8", f"{BLOCKS}_static_activation") == 0
    found = shards(tmp_path / "fp8")
    source = deserialize((tmp_path / "fp8" / "model.safetensors").read_bytes())
    tensors = {name: bytes(each["data"]) for name, each in source}
    module = "model.layers.0.self_attn."
    above = b"".join(tensors[f"{module}{part}_proj.weight"] for part in "qkv")
    assert found[f"{module}c_attn.weight"] == above
    scales = [tensors[f"{module}{part}_proj.weight_scale_inv"] for part in "qkv"]
    kept = np.frombuffer(b"".join(scales), np.float32).astype(dtype_named("bfloat16"))
    assert found[f"{module}c_attn.weight_scale_inv"] == kept.tobytes()
    quarter = np.full(2, 0.25, dtype_named("bfloat16"))
    assert found[f"{module}c_attn.activation_scale"] == quarter.tobytes()


def test_scales_of_activations_must_be_shared_by_what_is_fused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = "model.layers.1.mlp.up_proj."
    write_fp8(tmp_path / "fp8", lambda name: 0.5 if name.startswith(odd) else 0.25)
    assert convert(tmp_path / "fp8", f"{BLOCKS}_static_activation") == 2
    message = f"expected {odd}activation_scale to equal model.layers.1.mlp.gate_proj"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("write", "change", "quantization", "message"),
    [
        (
            write_awq,
            {"quantization_config": AWQ | {"bits": 8}},
            "",
            "'bits': expected 4",
        ),
        (
            write_awq,
            {"quantization_config": GPTQ | {"desc_act": True}},
            "",
            "cannot store what gptq made here: 'desc_act': expected False, found True",
        ),
        (write_awq, {"quantization_config": None}, "", "as they are; this one has no"),
        (
            write_awq,
            {},
            "q4f16_1",
            "quantized already, by 'awq'; give the original checkpoint, or convert as "
            "q4f16_autoawq",
        ),
        (
            write_awq,
            {"quantization_config": {"quant_method": "bitsandbytes"}},
            "",
            "by 'bitsandbytes'; give the original checkpoint\n",
        ),
        (
            write_awq,
            {"intermediate_size": 264},
            "",
            "needs a multiple of 8",
        ),
        (write_awq, {}, "q4f16_awq", "did you mean 'q4f16_autoawq'?"),
        (
            write_awq,
            {
                "model_type": "gemma",
                "head_dim": 32,
                "hidden_act": "gelu",
                "tie_word_embeddings": True,
            },
            "",
            "gemma cannot be quantized as q4f16_autoawq: choose one of q0f16",
        ),
        (
            write_fp8,
            {"quantization_config": FP8 | {"weight_block_size": [64, 64]}},
            BLOCKS,
            "c_attn.weight: expected all but the last to be a multiple of 64 high",
        ),
        (
            write_fp8,
            {"quantization_config": FP8 | {"weight_block_size": None}},
            BLOCKS,
            "whose config has a 'quantization_config' with a 'weight_block_size'",
        ),
        (write_fp8, {}, "q4f16_1", "or convert as fp8_e4m3fn_bf16_block_scale"),
    ],
)
def test_what_cannot_be_stored_exactly_is_refused(
    write: Write,
    change: dict[str, Any],
    quantization: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "model"
    write(folder)
    config = json.loads((folder / "config.json").read_text()) | change
    (folder / "config.json").write_text(json.dumps(config))
    assert convert(folder, quantization or "q4f16_autoawq") == 2
    assert message in capsys.readouterr().err
    assert not (folder / "out").exists()
