"""What memory steps will take, known before any has run."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mlcx.steps.memory import memory
from mlcx.steps.requests import Request
from mlcx.steps.tensors import largest_layer

MIB = 1 << 20


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlcx.steps.memory.processors", lambda: 1)


def conversion(scheme: str, *files: Path) -> int:
    target, words = Path("tensor-cache.json"), ("--quantization", scheme)
    return memory(Request("convert_weight", (target,), files, words))


def test_a_layer_is_all_that_may_become_one_parameter(tmp_path: Path) -> None:
    matrices = {
        "model.embed_tokens.weight": (500, 8),
        "model.layers.0.self_attn.q_proj.weight": (8, 8),
        "model.layers.0.self_attn.q_proj.bias": (8,),
        "model.layers.0.self_attn.k_proj.weight": (4, 8),
        "model.layers.1.mlp.experts.0.up_proj.weight": (100, 8),
        "model.layers.1.mlp.experts.1.up_proj.weight": (100, 8),
        "lm_head.weight": (300, 8),
    }
    tensors = {name: np.zeros(shape, np.int8) for name, shape in matrices.items()}
    first, second = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    save_file(tensors, first, metadata={"format": "pt"})
    assert largest_layer([first]) == 4000
    del tensors["model.embed_tokens.weight"], tensors["lm_head.weight"]
    save_file(tensors, first)
    assert largest_layer([first]) == 1600
    # A layer may be in two files.
    save_file({"model.layers.1.mlp.experts.2.up_proj": np.zeros(99, "f2")}, second)
    assert largest_layer([first, second]) == 1699


@pytest.mark.parametrize("content", [b"", b"x" * 99, b"\2" + bytes(7) + b"[]"])
def test_a_file_that_says_nothing_counts_for_nothing(
    tmp_path: Path, content: bytes
) -> None:
    """Who converts it will say what is wrong with it."""
    for name in ("a.safetensors", "a.bin"):
        (tmp_path / name).write_bytes(content)
        assert largest_layer([tmp_path / name, tmp_path / f"no-{name}"]) == 0


def test_pytorchs_files_have_a_member_for_each_tensor(tmp_path: Path) -> None:
    file = tmp_path / "pytorch_model.bin"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("pytorch_model/data/0", bytes(600))
        archive.writestr("pytorch_model/data/1", bytes(400))
    assert largest_layer([file]) == 300
    assert conversion("q4f16_1", file) > conversion("q4f16_1") + 256 * MIB


@pytest.fixture
def gibi(tmp_path: Path) -> Path:
    """Return a checkpoint whose largest layer has 2 ** 30 weights."""
    entry = {"dtype": "F16", "shape": [1 << 20, 1 << 10], "data_offsets": [0, 2 << 30]}
    header = json.dumps({"lm_head.weight": entry}).encode()
    file = tmp_path / "model.safetensors"
    with file.open("wb") as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        stream.truncate(8 + len(header) + (2 << 30))
    return file


@pytest.mark.parametrize(
    ("scheme", "kept"),
    [
        ("q0f16", 0),
        ("q4f16_1", 64),  # a float16 for 32 weights
        ("q4f32_1", 128),
        ("q4f16_0", 512 + 64),  # stored by columns: all of it
        ("q3f16_0", 384 + 64),
        ('{"name":"mine","base":"q4f16_0","layers":{}}', 512 + 64),
        ("e4m3_e4m3_f16", 0),
    ],
)
def test_a_conversion_keeps_what_it_cannot_write_yet(
    gibi: Path, scheme: str, kept: int
) -> None:
    assert conversion(scheme, gibi) == conversion(scheme) + kept * MIB


def test_each_thread_of_a_conversion_has_its_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone = conversion("q4f16_1")
    monkeypatch.setattr("mlcx.steps.memory.processors", lambda: 64)
    assert conversion("q4f16_1") > alone + 1024 * MIB


def test_weights_that_a_download_brought_are_found(gibi: Path) -> None:
    listed = [{"name": gibi.name, "size": gibi.stat().st_size}]
    index = gibi.with_name("fetched-weights.json")
    index.write_text(json.dumps({"files": listed}))
    assert conversion("q4f16_1", index) == conversion("q4f16_1", gibi)


def compiling(tmp_path: Path, *options: str, **sizes: int) -> int:
    config = tmp_path / "compile-config.json"
    config.write_text(json.dumps({"model_config": sizes}))
    return memory(Request("compile", (tmp_path / "one.so",), (config,), options))


def test_compiling_takes_memory_for_layers_not_for_weights(tmp_path: Path) -> None:
    """Each was measured: 306, 331 and 427 MiB with 4, 22 and 80 layers."""
    small = compiling(tmp_path, num_hidden_layers=4, hidden_size=192)
    assert 306 * MIB < small < 460 * MIB
    assert 331 * MIB < compiling(tmp_path, n_layer=22) < 500 * MIB
    large = compiling(tmp_path, num_hidden_layers=80, hidden_size=8192)
    assert 427 * MIB < large < 1024 * MIB
    assert compiling(tmp_path, num_hidden_layers=80) == large


def test_nvidias_compiler_takes_memory_besides(tmp_path: Path) -> None:
    """Each was measured: 438 and 529 MiB with 2 and 22 layers."""
    options = ("--device", "cuda", "--opt", "O2")
    assert 438 * MIB < compiling(tmp_path, *options, n_layer=2) < 660 * MIB
    assert 529 * MIB < compiling(tmp_path, *options, n_layer=22) < 800 * MIB
    for device in ("metal", "webgpu", "rocm", "cpu"):
        options = ("--device", device)
        expected = compiling(tmp_path, n_layer=22)
        assert compiling(tmp_path, *options, n_layer=22) == expected


def test_running_a_model_takes_the_memory_of_its_weights(tmp_path: Path) -> None:
    """Float32 may be stored as bfloat16, in half of its bytes."""
    index, config = tmp_path / "tensor-cache.json", tmp_path / "mlc-chat-config.json"
    config.write_text('{"vocab_size": 1000, "prefill_chunk_size": 64}')
    shard = {"dataPath": "a.bin", "nbytes": 1 << 30}

    def running(verb: str, *words: str, weights: int = 0) -> int:
        content = {"metadata": {"ParamBytes": float(weights)}, "records": [shard]}
        index.write_text(json.dumps(content))
        return memory(Request(verb, (tmp_path / "made.json",), (index, config), words))

    alone = running("measure-quality")
    more = running("measure-quality", weights=2 << 30) - alone
    assert more == pytest.approx(2 << 30, rel=1e-6)
    # A reference has all logits, which are float32.
    kept = running("reference-logits", "--tokens", "512")
    assert kept == running("reference-logits", "--tokens", "12") + 500 * 1000 * 4


def test_a_damaged_config_counts_for_nothing(tmp_path: Path) -> None:
    config = tmp_path / "compile-config.json"
    for text in ("", "[]", '{"model_config": 3}', '{"model_config": {"n_layer": "x"}}'):
        config.write_text(text)
        request = Request("compile", (tmp_path / "one.so",), (config,))
        assert memory(request) < 400 * MIB
