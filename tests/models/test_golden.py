"""Weights as MLC LLM converts them, and logits as transformers computes them.

Where that data lies beside the checkout: nine models, each in up to eleven
quantizations.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlcx.__main__ import main

from .conftest import Record, traced

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"

MODELS = {
    "gemma": (),
    "gpt_neox": (),
    "llama_gqa": (),
    "llama_tied_rope3": (),
    # The reference is a window without sink.
    "mistral": ("--attention-sink-size", "0"),
    "phi": (),
    "qwen2": (),
    "rwkv6": (),
}
"""What has logits, and the options of ``gen_config`` that they are of."""

Arrays = dict[str, NDArray[Any]]
Trace = Callable[..., Arrays]

pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason="no golden data here")

QUICK = "llama_gqa"
"""Libraries of the others are not compiled unless slow tests run: their architectures
have references that are always tried.
"""

HALVES = 0.06
"""By as much do logits differ when PyTorch computes these models in float16."""

models = pytest.mark.parametrize(
    "model",
    [
        pytest.param(name, marks=() if name == QUICK else (pytest.mark.slow,))
        for name in MODELS
    ],
)


def converted_by_mlc(*models: str) -> list[tuple[str, str]]:
    """Return what there is of each model."""
    return [
        (model, file.name.removesuffix(".manifest.json"))
        for model in models
        for file in sorted((GOLDEN / model).glob("*.manifest.json"))
    ]


def check_files(source: Path, model: str, quantization: str, output: Path) -> None:
    command = ["convert_weight", str(source), "--quantization", quantization]
    assert main([*command, "-o", str(output)]) == 0
    manifest = GOLDEN / model / f"{quantization}.manifest.json"
    expected = json.loads(manifest.read_text())["files"]
    found = {path.name: path.read_bytes() for path in output.iterdir()}
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}
    assert sums == {name: each["sha256"] for name, each in expected.items()}
    text = (GOLDEN / model / f"{quantization}.tensor-cache.json").read_bytes()
    assert found["tensor-cache.json"] == text


@pytest.mark.parametrize(("model", "quantization"), converted_by_mlc(*MODELS))
def test_every_converted_file_is_equal(
    model: str,
    quantization: str,
    tmp_path: Path,
    record: Record,
    capsys: pytest.CaptureFixture[str],
) -> None:
    check_files(GOLDEN / model / "hf", model, quantization, tmp_path)
    out, err = capsys.readouterr()
    assert " bits per parameter, " in out
    assert err == ""
    record(model, quantization, "bytes", 1)


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of 235 MB, which is made rather than stored."""
    folder = tmp_path_factory.mktemp("big")
    config = GOLDEN / "llama_big" / "config.json"
    command = [sys.executable, os.fspath(GOLDEN / "make_big.py"), config, folder]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.mark.parametrize(("model", "quantization"), converted_by_mlc("llama_big"))
def test_every_file_of_a_model_of_several_shards_is_equal(
    model: str, quantization: str, big: Path, tmp_path: Path, record: Record
) -> None:
    check_files(big, model, quantization, tmp_path)
    record(model, quantization, "bytes", 1)


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    """Return what ``mlcx logits`` writes of a model, built once."""

    @cache
    def built(model: str, quantization: str) -> Path:
        folder = tmp_path_factory.mktemp(model)
        common = [str(GOLDEN / model / "hf"), "--quantization", quantization]
        common += ["-o", str(folder / "model")]
        assert main(["convert_weight", *common, "--float32", "raw"]) == 0
        chat = ["--prefill-chunk-size", "32", "--max-batch-size", "4"]
        chat += ["--conv-template", "LM", *MODELS[model]]
        assert main(["gen_config", *common, *chat]) == 0
        command = ["compile", str(folder / "model"), "--device", "cpu"]
        assert main([*command, "-o", str(folder / "model.so")]) == 0
        return folder

    def run(model: str, quantization: str, tokens: Any, *options: str) -> Arrays:
        folder = built(model, quantization)
        return traced(folder, tokens, "logits.npz", "--greedy", "16", *options)

    return run


def reference(model: str) -> Arrays:
    with np.load(GOLDEN / model / "ref.npz") as found:
        return dict(found)


@models
@pytest.mark.parametrize(
    ("prefill", "function"),
    [
        (12, "prefill"),
        (7, "prefill"),
        (1, "prefill"),
        (8, "batch_prefill"),
        (8, "batch_verify"),
    ],
)
def test_logits_are_those_of_transformers(
    model: str, prefill: int, function: str, trace: Trace, record: Record
) -> None:
    expected = reference(model)
    options = ("--prefill", str(prefill), "--function", function)
    found = trace(model, "q0f32", expected["input_ids"], *options)
    difference = abs(found["logits"] - expected["logits"]).max()
    record(model, "q0f32", "logits", difference)
    assert difference < 1e-3
    assert found["logits"].dtype == np.float32
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


def in_half_precision() -> Iterator[Any]:
    """Return what there are references of; one of them is not slow."""
    for model in MODELS:
        for quantization in ("q0f16", "q3f16_1", "q4f16_0", "q4f16_1"):
            quick = quantization == "q4f16_1" and model == QUICK
            marks = () if quick else (pytest.mark.slow,)
            yield pytest.param(model, quantization, marks=marks)


@pytest.mark.parametrize(("model", "quantization"), list(in_half_precision()))
def test_half_precision_follows_the_reference_of_its_weights(
    model: str, quantization: str, trace: Trace, record: Record
) -> None:
    expected = reference(model)
    # Transposed, a weight of float16 has the same codes and scales.
    codes = quantization.replace("q4f16_0", "q4f16_1")
    prefix = "" if codes == "q0f16" else f"{codes}_"
    greedy = expected[f"{prefix}greedy_tokens"]
    margins = expected[f"{prefix}greedy_margins"]
    for prefill in ("12", "1"):
        options = ("--prefill", prefill)
        found = trace(model, quantization, expected["input_ids"], *options)
        difference = abs(found["logits"][-1] - expected[f"{prefix}logits_last"]).max()
        record(model, quantization, "logits", difference)
        assert difference < HALVES
        # Where the reference hardly prefers a token, the text may go on otherwise.
        sure = int(np.append(margins < 4 * difference, True).argmax())
        assert found["greedy"][:sure].tolist() == greedy[:sure].tolist()
