"""Weights as MLC LLM converts them, and logits as transformers computes them.

Where that data lies beside the checkout. Llama's are compared next to the conversion
and the runtime.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from mlcx.__main__ import main
from mlcx.quant.scheme import SCHEMES

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"


class Case(NamedTuple):
    """What is peculiar to a checkpoint."""

    options: tuple[str, ...] = ()
    """Of ``gen_config``."""
    add_to_norms: int = 0
    """To their weights when converted, which float16 would round."""
    renamed: tuple[str, str] = ("", "")
    """How names of weights start in the checkpoint, and when converted."""


MODELS = {
    "gemma": Case(add_to_norms=1),
    "gpt_neox": Case(),
    # The reference is a window without sink.
    "mistral": Case(options=("--attention-sink-size", "0")),
    "phi": Case(),
    "qwen2": Case(),
    "rwkv6": Case(renamed=("rwkv.", "model.")),
}

Arrays = dict[str, NDArray[Any]]
Trace = Callable[..., Arrays]

pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason="no golden data here")
models = pytest.mark.parametrize("model", MODELS)


def converted_by_mlc() -> Iterator[tuple[str, str]]:
    for model in MODELS:
        for quantization in SCHEMES:
            if (GOLDEN / model / f"{quantization}.manifest.json").exists():
                yield model, quantization


@pytest.mark.parametrize(("model", "quantization"), list(converted_by_mlc()))
def test_every_converted_file_is_equal(
    model: str, quantization: str, tmp_path: Path
) -> None:
    source = str(GOLDEN / model / "hf")
    command = ["convert_weight", source, "--quantization", quantization]
    assert main([*command, "-o", str(tmp_path)]) == 0
    manifest = GOLDEN / model / f"{quantization}.manifest.json"
    expected = json.loads(manifest.read_text())["files"]
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}
    assert sums == {name: each["sha256"] for name, each in expected.items()}


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    """Return what ``mlcx logits`` writes of a model, built once."""

    @cache
    def built(model: str, quantization: str) -> Path:
        folder = tmp_path_factory.mktemp(model)
        common = [str(GOLDEN / model / "hf"), "-o", str(folder), "--quantization"]
        stored = "q0f16" if quantization == "q0f32" else quantization
        assert main(["convert_weight", *common, stored]) == 0
        if quantization == "q0f32":
            checkpoint = load_file(GOLDEN / model / "hf" / "model.safetensors")
            old, new = MODELS[model].renamed
            named = {k.replace(old, new, 1): v for k, v in checkpoint.items()}
            widen(folder, named, MODELS[model].add_to_norms)
        chat = ["--prefill-chunk-size", "32", "--max-batch-size", "4"]
        chat += ["--conv-template", "LM", *MODELS[model].options]
        assert main(["gen_config", *common, quantization, *chat]) == 0
        command = ["compile", str(folder), "--device", "cpu"]
        assert main([*command, "-o", str(folder / "model.so")]) == 0
        return folder

    def run(model: str, quantization: str, tokens: Any, *options: str) -> Arrays:
        folder = built(model, quantization)
        command = ["logits", str(folder), "--model-lib", str(folder / "model.so")]
        command += ["--tokens", ",".join(map(str, tokens)), "--greedy", "16"]
        assert main([*command, *options, "-o", str(folder / "logits.npz")]) == 0
        with np.load(folder / "logits.npz") as found:
            return dict(found)

    return run


def widen(directory: Path, checkpoint: Arrays, add_to_norms: int) -> None:
    """Rewrite the weights of a float16 model as float32, without loss.

    MLC's format keeps float32 weights as bfloat16, too coarse to compare logits by.
    Those that are float32 in a float16 model too, and norms that something is added
    to, come from the checkpoint.
    """
    index = directory / "tensor-cache.json"
    data, records = bytearray(), []
    for shard in json.loads(index.read_text())["records"]:
        stored = (directory / shard["dataPath"]).read_bytes()
        for record in shard["records"]:
            offset, size = record["byteOffset"], record["nbytes"]
            values = np.frombuffer(stored[offset : offset + size], np.float16)
            if record["dtype"] == "float32":
                values = checkpoint[record["name"]]
            elif add_to_norms and "norm" in record["name"]:
                values = checkpoint[record["name"]].astype(np.float32) + add_to_norms
            wide = {"dtype": "float32", "format": "raw", "nbytes": 2 * size}
            records.append({**record, **wide, "byteOffset": len(data)})
            data += values.astype(np.float32).tobytes()
    (directory / "wide.bin").write_bytes(data)
    shard = {"dataPath": "wide.bin", "format": "raw-shard", "nbytes": len(data)}
    index.write_text(json.dumps({"records": [{**shard, "records": records}]}))


def reference(model: str) -> Arrays:
    with np.load(GOLDEN / model / "ref.npz") as found:
        return dict(found)


@models
@pytest.mark.parametrize(
    ("prefill", "function"),
    [(12, "prefill"), (7, "prefill"), (1, "prefill"), (8, "batch_prefill")],
)
def test_logits_are_those_of_transformers(
    model: str, prefill: int, function: str, trace: Trace
) -> None:
    expected = reference(model)
    options = ("--prefill", str(prefill), "--function", function)
    found = trace(model, "q0f32", expected["input_ids"], *options)
    np.testing.assert_allclose(found["logits"], expected["logits"], rtol=0, atol=1e-3)
    assert found["greedy"].tolist() == expected["greedy_tokens"].tolist()


@models
@pytest.mark.parametrize("prefill", [80, 45, 1])
def test_a_long_prompt_has_the_logits_of_transformers(
    model: str, prefill: int, trace: Trace
) -> None:
    """In chunks, then one by one: longer than a window, if there is one."""
    expected = reference(model)
    tokens = expected["long_input_ids"]
    found = trace(model, "q0f32", tokens, "--prefill", str(prefill))
    last = expected["long_logits_last"]
    np.testing.assert_allclose(found["logits"][-1], last, rtol=0, atol=1e-3)
    if "long_logits" in expected:
        every = expected["long_logits"]
        np.testing.assert_allclose(found["logits"], every, rtol=0, atol=1e-3)
    assert found["greedy"].tolist() == expected["long_greedy_tokens"].tolist()


@models
@pytest.mark.parametrize(
    ("quantization", "prefix"), [("q0f16", ""), ("q4f16_1", "q4f16_1_")]
)
def test_half_precision_follows_the_reference_of_its_weights(
    model: str, quantization: str, prefix: str, trace: Trace
) -> None:
    expected = reference(model)
    found = trace(model, quantization, expected["input_ids"])
    last = expected[f"{prefix}logits_last"]
    np.testing.assert_allclose(found["logits"][-1], last, rtol=0, atol=0.1)
    assert found["greedy"].tolist() == expected[f"{prefix}greedy_tokens"].tolist()
