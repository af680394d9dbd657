"""Which model a command line names: a path wins, else a preset, also as an option."""

import json
from pathlib import Path

import pytest

from mlcx.__main__ import main
from mlcx.cli.model import given
from mlcx.errors import UsageError
from mlcx.presets import preset_file


def test_the_name_of_a_preset_is_its_file() -> None:
    file = preset_file("qwen2.5_3b")
    assert given("qwen2.5_3b", "auto") == (file, None, "qwen2.5_3b")


def test_a_path_wins_over_a_preset_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpt2").mkdir()
    assert given("gpt2", "auto") == (Path("gpt2"), None, None)


@pytest.mark.parametrize("path", ["folder/gpt2", "gpt2.json", "/nowhere", "nowhere"])
def test_what_can_only_be_a_path_is_one(path: str) -> None:
    assert given(path, "auto").path == Path(path)


def test_the_model_type_may_be_a_preset_that_has_it() -> None:
    assert given("folder/x", "phi-2") == (Path("folder/x"), "phi-msft", None)


def test_a_preset_as_model_type_stands_for_a_model_left_out() -> None:
    assert given(None, "phi-2") == (preset_file("phi-2"), "phi-msft", "phi-2")


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        (None, "auto", "expected a model: a folder, a file or the name of a preset"),
        (None, "llama", "expected a model"),
        ("", "llama", "expected a model, found an empty name"),
        ("lama2_7b", "auto", "did you mean 'llama2_7b'"),
    ],
)
def test_what_is_no_model_is_refused(
    model: str | None, kind: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        given(model, kind)


def test_a_preset_is_normalized_as_its_file_is(tmp_path: Path) -> None:
    texts = []
    for model in (["smollm_135m"], ["--model-type", "smollm_135m"]):
        output = tmp_path / "compile-config.json"
        options = ["--quantization", "q4f16_1", "-o", str(output)]
        assert main(["normalize", *model, *options]) == 0
        texts.append(output.read_text())
    assert texts[0] == texts[1]
    assert json.loads(texts[0])["model_config"]["hidden_size"] == 576


def test_a_preset_has_a_chat_config_without_a_tokenizer(tmp_path: Path) -> None:
    options = ["--quantization", "q4f16_1", "--conv-template", "llama-3_1"]
    assert main(["gen_config", "llama3_2_1b", *options, "-o", str(tmp_path)]) == 0
    config = json.loads((tmp_path / "mlc-chat-config.json").read_text())
    assert config["model_type"] == "llama"
    assert config["eos_token_id"] == [128001, 128008, 128009]
    assert config["tokenizer_files"] == []


def test_a_preset_is_converted_only_from_weights_that_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--quantization", "q4f16_1", "-o", str(tmp_path / "out")]
    assert main(["convert_weight", "smollm_135m", *options]) == 2
    assert "smollm_135m has no weights: give --source" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
