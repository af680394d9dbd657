"""Checkpoints that were cloned without Git LFS: pointers in place of files."""

from __future__ import annotations

from pathlib import Path

import one_layer
import pytest

from mlcx.__main__ import main

POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    "size 12345\n"
)
CONVERT = ["convert_weight", "m", "--quantization", "q0f16", "-o", "out"]
CONFIG = ["gen_config", "m", "--quantization", "q0f16", "--conv-template", "chatml"]


@pytest.mark.parametrize(
    ("name", "verb"),
    [
        ("model.safetensors", CONVERT),
        ("pytorch_model.bin", CONVERT),
        ("config.json", CONVERT),
        ("tokenizer.json", [*CONFIG, "-o", "out"]),
        ("tokenizer.model", [*CONFIG, "-o", "out"]),
        ("qwen.tiktoken", [*CONFIG, "-o", "out"]),
        ("rwkv_vocab_v20230424.txt", [*CONFIG, "-o", "out"]),
    ],
)
def test_a_pointer_of_git_lfs_is_called_one(
    name: str,
    verb: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    model = one_layer.write(tmp_path / "m")
    if name.endswith(".bin"):
        (model / "model.safetensors").unlink()
    if name.endswith(".tiktoken"):
        kind = '{"tokenizer_class": "QWenTokenizer"}'
        (model / "tokenizer_config.json").write_text(kind)
    (model / name).write_text(POINTER)
    assert main(verb) == 2
    said = "a Git LFS pointer, not the file: run git lfs pull in its folder"
    assert capsys.readouterr().err == f"m/{name}: {said}\n"
    assert not (tmp_path / "out/tensor-cache.json").exists()
