"""Conversions by the command against those that MLC LLM's converter made."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlcx.__main__ import main

from .tiny_llama import run

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
SMALL = ("llama_gqa", "llama_tied_rope3")

pytestmark = pytest.mark.skipif(not GOLDEN.exists(), reason="no golden data here")


def quantizations(*models: str) -> list[tuple[str, str]]:
    """Return what there is of each model."""
    return [
        (model, file.name.removesuffix(".manifest.json"))
        for model in models
        for file in sorted((GOLDEN / model).glob("*.manifest.json"))
    ]


def check(output: Path, model: str, quantization: str) -> None:
    manifest = json.loads(
        (GOLDEN / model / f"{quantization}.manifest.json").read_text()
    )
    files = {path.name: path.read_bytes() for path in output.iterdir()}
    found = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    assert found == {name: each["sha256"] for name, each in manifest["files"].items()}
    text = (GOLDEN / model / f"{quantization}.tensor-cache.json").read_bytes()
    assert files["tensor-cache.json"] == text


@pytest.mark.parametrize(("model", "quantization"), quantizations(*SMALL))
def test_every_file_of_a_small_model_is_equal(
    model: str,
    quantization: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, output = str(GOLDEN / model / "hf"), str(tmp_path / "out")
    command = ["convert_weight", source, "--quantization", quantization, "-o", output]
    assert main(command) == 0
    check(tmp_path / "out", model, quantization)
    out, err = capsys.readouterr()
    assert " bits per parameter, " in out
    assert err == ""


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("big")
    config = GOLDEN / "llama_big" / "config.json"
    command = [sys.executable, os.fspath(GOLDEN / "make_big.py"), config, folder]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.mark.parametrize(("model", "quantization"), quantizations("llama_big"))
def test_every_file_of_a_model_of_several_shards_is_equal(
    model: str, quantization: str, big: Path, tmp_path: Path
) -> None:
    config = json.loads((big / "config.json").read_text())
    run(big, tmp_path / "out", quantization, config)
    check(tmp_path / "out", model, quantization)
