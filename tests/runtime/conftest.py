"""Models built for these tests, each once a session."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from mlcx.__main__ import main
from mlcx.runtime.locate import Files

from .numpy_llama import random_checkpoint
from .widened import widen

Build = Callable[[Path, str], Files]

TINY = Path(__file__).parents[1] / "tiny" / "llama.json"


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build a quantized checkpoint, for chunks of 32 tokens and 4 texts at a time.

    At q0f32 the checkpoint is taken for float16, and no bit of it is lost.
    """

    @cache
    def built(checkpoint: Path, quantization: str) -> Files:
        folder = tmp_path_factory.mktemp("model")
        files = Files(folder / "model", folder / "model.so")
        common = [str(checkpoint), "-o", str(files.directory), "--quantization"]
        stored = "q0f16" if quantization == "q0f32" else quantization
        assert main(["convert_weight", *common, stored]) == 0
        if quantization == "q0f32":
            widen(files.directory)
        chat = ["--prefill-chunk-size", "32", "--max-batch-size", "4"]
        chat += ["--conv-template", "LM"]
        assert main(["gen_config", *common, quantization, *chat]) == 0
        library = ["--device", "cpu", "-o", str(files.library)]
        assert main(["compile", str(files.directory), *library]) == 0
        return files

    return built


def characters() -> Tokenizer:
    """A token for each printable character of ASCII, of which the space is "Ġ"."""
    pieces = ["Ġ", *map(chr, range(0x21, 0x7F))]
    tokenizer = Tokenizer(models.BPE({piece: n for n, piece in enumerate(pieces)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "</s>"])
    begin = ("<s>", tokenizer.token_to_id("<s>"))
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", None, [begin])
    return tokenizer


@pytest.fixture(scope="session")
def tiny_config() -> dict[str, Any]:
    config: dict[str, Any] = json.loads(TINY.read_text())
    return config


@pytest.fixture(scope="session")
def tiny_weights(tiny_config: dict[str, Any]) -> dict[str, Any]:
    return random_checkpoint(tiny_config, seed=5)


@pytest.fixture(scope="session")
def checkpoint(
    tiny_weights: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A random model of two layers, as Hugging Face has it."""
    folder = tmp_path_factory.mktemp("checkpoint")
    (folder / "config.json").write_text(TINY.read_text())
    characters().save(str(folder / "tokenizer.json"))
    save_file(tiny_weights, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="session")
def tiny(build: Build, checkpoint: Path) -> Files:
    """The random model in float32."""
    return build(checkpoint, "q0f32")
