"""A hub on loopback, and a user whose folder is empty."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import hub as stand_in
import pytest

CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "max_position_embeddings": 128,
    "num_attention_heads": 2,
    "rms_norm_eps": 1e-5,
    "num_hidden_layers": 1,
    "vocab_size": 32,
}
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def dump(value: object) -> bytes:
    return json.dumps(value).encode()


def checkpoint() -> dict[str, bytes]:
    """Return a checkpoint in two files, with what else repositories have."""
    weights = {name: name.encode() * 40_000 for name in SHARDS}
    index = {"weight_map": {"a": SHARDS[0], "b": SHARDS[1]}}
    return {
        "config.json": dump(CONFIG),
        "tokenizer.json": dump({"model": {}}),
        "model.safetensors.index.json": dump(index),
        **weights,
        "pytorch_model.bin": b"pickle",
        "modeling_llama.py": b"import os",
        "README.md": b"# hello",
        ".gitattributes": b"*",
        "original/consolidated.safetensors": b"no",
        "../../outside.json": b"{}",
    }


def mlc() -> dict[str, bytes]:
    """Return an MLC model directory."""
    shards = {f"params_shard_{number}.bin": bytes([number]) * 9999 for number in (0, 1)}
    records = [
        {"dataPath": name, "nbytes": len(data), "md5sum": hashlib.md5(data).hexdigest()}
        for name, data in shards.items()
    ]
    chat = {"quantization": "q4f16_1", "tokenizer_files": ["tokenizer.json"], **CONFIG}
    return {
        "mlc-chat-config.json": dump(chat),
        "tensor-cache.json": dump({"metadata": {}, "records": records}),
        "tokenizer.json": dump({"model": {}}),
        "README.md": b"# hello",
        **shards,
    }


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the user's folder; nothing of the machine's own is seen."""
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "MLC_DOWNLOAD_CACHE_POLICY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("MLC_LLM_READONLY_WEIGHT_CACHE", raising=False)
    monkeypatch.setenv("MLC_LLM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "no"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def hub(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[stand_in.StandIn]:
    """Return a hub with a checkpoint and an MLC model."""
    del home
    with stand_in.serving() as made:
        made.add("user/checkpoint", checkpoint())
        made.add("user/mlc", mlc())
        monkeypatch.setenv("HF_ENDPOINT", made.url)
        yield made


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nothing between tries."""
    monkeypatch.setattr("time.sleep", lambda _: None)
