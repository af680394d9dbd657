"""``mlcx gen_config`` and ``mlcx convert_weight``, as a person calls them."""

import json
from pathlib import Path

import one_layer
import pytest
from one_layer import CONFIG

from mlcx.__main__ import main

LLAMA_3 = (
    "{% for m in messages %}"
    "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' }}"
    "{{ m.content + '<|eot_id|>' }}{% endfor %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
)
LLAMA_2 = (
    "{% for m in messages %}{% if m.role == 'user' %}<s>[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }} </s>{% endif %}{% endfor %} "
)


@pytest.fixture(autouse=True)
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return one_layer.write(tmp_path / "model")


def gen_config(*options: str, template: str = "llama-3") -> int:
    command = ["gen_config", "model", "--quantization", "q4f16_1", "-o", "out"]
    return main([*command, "--conv-template", template, *options])


def convert(*options: str, quantization: str = "q4f16_1") -> int:
    return main(
        [
            "convert_weight",
            "model",
            "--quantization",
            quantization,
            "-o",
            "out",
            *options,
        ]
    )


def test_a_config_is_written_for_the_model(tmp_path: Path) -> None:
    (tmp_path / "model" / "generation_config.json").write_text('{"temperature": 0.6}')
    assert gen_config("--context-window-size", "64") == 0
    config = json.loads((tmp_path / "out" / "mlc-chat-config.json").read_text())
    assert config["conv_template"]["name"] == "llama-3"
    assert config["temperature"] == 0.6
    assert config["model_config"]["max_batch_size"] == 128
    assert config["model_config"]["num_key_value_heads"] == 2
    assert config["context_window_size"] == 64
    assert config["prefill_chunk_size"] == 64
    assert "model_type" not in config["model_config"]


def test_what_was_written_is_said_in_a_line(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gen_config(template="rwkv_world") == 0
    said = (
        "llama as q4f16_1, context of 128 tokens, template rwkv_world, "
        "32 of 32 token ids in use; no tokenizer\n"
    )
    assert capsys.readouterr().out == said
    (model / "rwkv_vocab_v20230424.txt").write_text("1 'a' 1\n")
    assert gen_config() == 0
    assert capsys.readouterr().out.endswith("; tokenizer_model\n")
    made = model.parent / "out" / "tokenizer_model"
    assert made.read_bytes() == b"\x81\x01\xc4\x01a"


@pytest.mark.parametrize(
    ("chat_template", "warning"),
    [
        ("{% for m in messages %}[INST] {{ m.content }}{% endfor %}", ""),
        (LLAMA_3, ""),
        (LLAMA_3.replace("eot_id", "end"), ""),
        (LLAMA_2, "lays out turns otherwise than the checkpoint's own chat template"),
        ("{% for %}", "nothing tells whether the conversation template suits"),
        (
            "{{ 'a' * 10 ** 11 }}",
            "the chat template cannot be tried: it takes too much",
        ),
    ],
)
def test_a_template_that_is_not_the_models_own_is_warned_of(
    model: Path, capsys: pytest.CaptureFixture[str], chat_template: str, warning: str
) -> None:
    fields = json.dumps({"chat_template": chat_template})
    (model / "tokenizer_config.json").write_text(fields)
    assert gen_config() == 0
    err = capsys.readouterr().err
    assert ("conversation template" in err) == bool(warning)
    assert warning in err


def test_a_size_that_does_not_fit_the_others_is_put_right_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gen_config("--prefill-chunk-size", "129") == 0
    warning = "prefill_chunk_size cannot be 129: llama makes it 128"
    assert warning in capsys.readouterr().err
    config = json.loads((tmp_path / "out" / "mlc-chat-config.json").read_text())
    assert config["prefill_chunk_size"] == 128


def test_what_will_not_do_later_is_warned_of(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (model / "config.json").write_text(json.dumps(CONFIG | {"eos_token_id": 999999}))
    assert gen_config("--tensor-parallel-shards", "3", "-o", "model") == 0
    err = capsys.readouterr().err
    last = CONFIG["vocab_size"] - 1
    assert f"eos_token_id 999999: the model has ids from 0 to {last}, so that" in err
    assert "tensor_parallel_shards: expected 1, as libraries are for one device" in err
    assert "model is the checkpoint's own folder: builds take it for an MLC" in err


@pytest.mark.parametrize(
    ("change", "template", "options", "message"),
    [
        ({}, "llama3", (), "did you mean 'llama-3'"),
        ({}, "LM", ("--quantization", "q4"), "unknown quantization 'q4'"),
        ({}, "LM", ("--sliding-window-size", "8"), "llama has no sliding_window_size"),
        ({}, "LM", ("--model-type", "lama"), "mlcx: unknown model_type 'lama': did"),
        ({"model_type": "lama"}, "LM", (), "model/config.json: unknown model_type"),
        ({"model_type": 3}, "LM", (), "'model_type': expected a name, found 3"),
        ({"hidden_size": -1}, "LM", (), "model/config.json: 'hidden_size': expected"),
        ({"bos_token_id": "x"}, "LM", (), "'bos_token_id': expected a token id"),
        ({"temperature": -1}, "LM", (), "config.json: temperature: expected 0 or more"),
        ({"top_p": 7}, "LM", (), "config.json: top_p: expected above 0 and at most 1"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    model: Path,
    change: dict[str, object],
    template: str,
    options: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (model / "config.json").write_text(json.dumps(CONFIG | change))
    assert gen_config(*options, template=template) == 2
    assert message in capsys.readouterr().err
    assert not (model.parent / "out").exists()


def test_a_number_that_is_refused_is_said_to_be_where_it_is(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, first = model / "config.json", model / "generation_config.json"
    config.write_text(json.dumps(CONFIG | {"temperature": -1}))
    first.write_text('{"temperature": null, "top_p": 0.5}')
    assert gen_config() == 2
    said = "model/config.json: temperature: expected 0 or more, found -1\n"
    assert capsys.readouterr().err.endswith(said)
    first.write_text('{"temperature": -2}')
    assert gen_config() == 2
    said = "model/generation_config.json: temperature: expected 0 or more, found -2\n"
    assert capsys.readouterr().err.endswith(said)
    first.write_text('{"temperature": 0.5}')
    assert gen_config() == 0


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--max-batch-size", "0", "from 1 on, found '0'"),
        ("--prefill-chunk-size", "-5", "from 1 on, found '-5'"),
        ("--prefill-chunk-size", "2147483648", "from 1 on, found '2147483648'"),
        ("--tensor-parallel-shards", "0", "from 1 on, found '0'"),
        ("--pipeline-parallel-stages", "two", "from 1 on, found 'two'"),
        ("--context-window-size", "0", "from 1 on, or -1 for none, found '0'"),
        ("--sliding-window-size", "-2", "from 1 on, or -1 for none, found '-2'"),
        ("--attention-sink-size", "-1", "from 0 on, found '-1'"),
    ],
)
def test_a_number_that_will_not_do_is_refused_by_its_option(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
    value: str,
    said: str,
) -> None:
    with pytest.raises(SystemExit) as ended:
        gen_config(option, value)
    assert ended.value.code == 2
    message = f"argument {option}: expected a whole number {said}\n"
    assert capsys.readouterr().err.endswith(message)
    assert not (tmp_path / "out").exists()


def test_no_window_may_be_asked_for(tmp_path: Path) -> None:
    """As -1, which stands for none; a model that slides then needs a context."""
    slides = {"model_type": "mistral", "sliding_window": 16}
    content = CONFIG | slides | {"tie_word_embeddings": False}
    (tmp_path / "model/config.json").write_text(json.dumps(content))
    options = ("--sliding-window-size", "-1", "--context-window-size", "64")
    assert gen_config(*options) == 0
    config = json.loads((tmp_path / "out/mlc-chat-config.json").read_text())
    assert (config["sliding_window_size"], config["context_window_size"]) == (-1, 64)


def test_no_window_asks_nothing_of_a_model_without_any(tmp_path: Path) -> None:
    assert gen_config("--sliding-window-size", "-1") == 0
    config = json.loads((tmp_path / "out/mlc-chat-config.json").read_text())
    assert config["sliding_window_size"] == -1


def test_weights_are_converted_with_a_line_that_says_what_came_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert() == 0
    out, err = capsys.readouterr()
    assert out.startswith("13 tensors, ")
    assert err == ""
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == ["params_shard_0.bin", "tensor-cache.json"]


def test_weights_may_lie_elsewhere(model: Path) -> None:
    (model / "model.safetensors").rename(model.parent / "w.safetensors")
    assert convert() == 2
    assert convert("--source", "w.safetensors") == 0


def test_a_missing_model_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["convert_weight", "nowhere", "--quantization", "q0f16", "-o", "out"]
    assert main(command) == 2
    assert "nowhere: expected a checkpoint: config.json, or" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("quantized", "message"),
    [
        ({"quant_method": "awq"}, "quantized already, by 'awq'; give the original"),
        (4, "config.json: 'quantization_config': expected an object, found 4"),
    ],
)
def test_a_checkpoint_that_is_quantized_already_is_refused(
    model: Path, quantized: object, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = CONFIG | {"quantization_config": quantized}
    (model / "config.json").write_text(json.dumps(config))
    assert convert() == 2
    assert message in capsys.readouterr().err
