"""A folder with models in it, and a way to write specs there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHECKPOINT = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "max_position_embeddings": 128,
    "num_attention_heads": 2,
    "rms_norm_eps": 1e-5,
    "num_hidden_layers": 1,
    "vocab_size": 32,
}
MLC = {"quantization": "q4f16_1", **CHECKPOINT}


def _model(folder: Path, files: dict[str, dict[str, Any]]) -> None:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with one model of each sort."""
    monkeypatch.chdir(tmp_path)
    windowed = {**CHECKPOINT, "model_type": "mistral", "sliding_window": 64}
    weights: dict[str, dict[str, Any]] = {"model.safetensors": {}}
    _model(tmp_path / "checkpoint", {"config.json": CHECKPOINT, **weights})
    _model(tmp_path / "windowed", {"config.json": windowed, **weights})
    _model(tmp_path / "unweighted", {"config.json": CHECKPOINT})
    _model(tmp_path / "mlc", {"mlc-chat-config.json": MLC, "tensor-cache.json": {}})
    _model(tmp_path / "weightless", {"mlc-chat-config.json": MLC})
    _model(tmp_path / "nothing", {})
    return tmp_path


@pytest.fixture
def write(here: Path) -> Callable[..., str]:
    """Return a function that writes a spec and returns its file's name."""

    def write(spec: object, name: str = "spec.json") -> str:
        text = spec if isinstance(spec, str) else json.dumps(spec, indent=1)
        (here / name).write_text(text, encoding="utf-8")
        return name

    return write


@pytest.fixture
def entry() -> Callable[..., dict[str, Any]]:
    """Return a function that makes a right model entry, but for the given keys."""

    def entry(**changed: Any) -> dict[str, Any]:
        right = {
            "model": "checkpoint",
            "model_id": "a",
            "quantization": "q4f16_1",
            "conv_template": "chatml",
            "bundle_weight": True,
        }
        merged = {**right, **changed}
        return {key: value for key, value in merged.items() if value is not ...}

    return entry


@pytest.fixture
def package(entry: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Return a function that makes a package config of the given entries."""

    def package(*entries: dict[str, Any], **changed: Any) -> dict[str, Any]:
        return {"device": "cpu", "model_list": list(entries or [entry()]), **changed}

    return package


@pytest.fixture
def delivery() -> Callable[..., dict[str, Any]]:
    """Return a function that makes a right delivery spec, but for the given keys."""

    def delivery(**changed: Any) -> dict[str, Any]:
        return {
            "tasks": [{"model_id": "a", "model": "checkpoint"}],
            "default_compile_options": [{"device": "cpu"}],
            "default_quantization": ["q4f16_1"],
            "binary_libs_dir": "libs",
            **changed,
        }

    return delivery
