"""The content of mlc-chat-config.json."""

import json
from pathlib import Path
from typing import Any

import pytest

from mlcx.artifact import read_json
from mlcx.errors import InputError
from mlcx.package.chat_config import (
    chat_config,
    ends_of,
    generation_defaults,
    generation_files,
    write_model_files,
)
from mlcx.package.tokenizer_files import TokenizerFiles

FIELDS = """version model_type quantization model_config vocab_size
context_window_size sliding_window_size prefill_chunk_size attention_sink_size
tensor_parallel_shards pipeline_parallel_stages active_vocab_size temperature
presence_penalty frequency_penalty repetition_penalty top_p tokenizer_files
tokenizer_info conv_template pad_token_id bos_token_id eos_token_id model_task
embedding_metadata"""

MODEL = {
    "hidden_size": 64,
    "vocab_size": 512,
    "context_window_size": 1024,
    "prefill_chunk_size": 128,
    "tensor_parallel_shards": 2,
}
TEMPLATE = {"name": "x", "seps": [""]}
NONE = TokenizerFiles((), {"token_postproc_method": "byte_level"}, None)
A, B = Path("generation_config.json"), Path("config.json")


def make(**changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "model_type": "llama",
        "quantization": "q4f16_1",
        "model_config": MODEL,
        "conv_template": TEMPLATE,
        "generation": generation_defaults([]),
        "tokenizer": NONE,
    }
    return chat_config(**arguments | changes)


def test_the_fields_have_the_order_of_the_format() -> None:
    assert list(make()) == FIELDS.split()


def test_what_the_architecture_lacks_is_minus_one() -> None:
    config = make()
    assert config["context_window_size"] == 1024
    assert config["sliding_window_size"] == config["attention_sink_size"] == -1
    assert config["tensor_parallel_shards"] == 2
    assert config["pipeline_parallel_stages"] == 1


def test_what_the_architecture_has_is_taken() -> None:
    names = ("sliding_window_size", "attention_sink_size", "pipeline_parallel_stages")
    config = make(model_config=MODEL | dict.fromkeys(names, 7))
    assert [config[name] for name in names] == [7, 7, 7]


def test_active_tokens_are_those_of_the_tokenizer_if_there_is_one() -> None:
    assert make()["active_vocab_size"] == 512
    tokenizer = TokenizerFiles(("tokenizer.json",), {}, 500)
    config = make(tokenizer=tokenizer)
    assert (config["active_vocab_size"], config["vocab_size"]) == (500, 512)
    assert config["tokenizer_files"] == ["tokenizer.json"]
    tokenizer = TokenizerFiles(("tokenizer.json",), {}, 513)
    assert make(tokenizer=tokenizer)["active_vocab_size"] == 512


def test_a_template_of_no_family_begins_and_ends_texts_as_the_model_does() -> None:
    llama_2 = {"system_prefix_token_ids": [1], "stop_token_ids": [2]}
    free = {"name": "LM", "seps": [""], **llama_2}
    ends = generation_defaults([(A, {"eos_token_id": [7, 8]})])
    tokenizer = TokenizerFiles(("tokenizer.json",), {}, 500, (5,))
    made = make(conv_template=free, generation=ends, tokenizer=tokenizer)
    assert made["conv_template"] == {
        **free,
        "system_prefix_token_ids": [5],
        "stop_token_ids": [7, 8],
    }
    none = TokenizerFiles(("tokenizer.json",), {}, 500)
    made = make(conv_template=free, tokenizer=none)
    assert made["conv_template"]["system_prefix_token_ids"] is None
    assert make(conv_template=free)["conv_template"] == free
    kept = {**free, "name": "x"}
    made = make(conv_template=kept, generation=ends, tokenizer=tokenizer)
    assert made["conv_template"] == kept


def test_a_checkpoint_that_says_nothing_generates_by_the_defaults() -> None:
    assert generation_defaults([(A, {}), (B, {"temperature": None})]) == {
        "temperature": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "repetition_penalty": 1.0,
        "top_p": 1.0,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


def test_the_file_beside_the_config_is_asked_first(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    assert generation_files(config, {"top_k": 1}) == [(config, {"top_k": 1})]
    (tmp_path / A).write_text('{"eos_token_id": 7}')
    files = generation_files(config, {"eos_token_id": 3})
    assert ends_of(generation_defaults(files)) == [7]
    assert ends_of(generation_defaults(files[1:])) == [3]


def test_the_first_file_that_says_something_wins_and_the_rest_is_left_out() -> None:
    first = {"temperature": 0, "eos_token_id": [3, 4], "top_p": None, "top_k": 5}
    second = {"temperature": 0.6, "top_p": 0.9, "bos_token_id": 7, "eos_token_id": 9}
    values = generation_defaults([(A, first), (B, second)])
    assert "top_k" not in values
    assert (values["temperature"], values["top_p"]) == (0, 0.9)
    assert (values["eos_token_id"], values["bos_token_id"]) == ([3, 4], 7)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("temperature", "hot", "a number"),
        ("top_p", True, "a number"),
        ("eos_token_id", [1, "2"], "a token id or a list of them"),
        ("eos_token_id", [], "a token id or a list of them"),
        ("bos_token_id", [1], "a token id,"),
        ("pad_token_id", 1.5, "a token id,"),
    ],
)
def test_a_value_of_a_wrong_type_is_refused(
    key: str, value: object, expected: str
) -> None:
    message = rf"config\.json: '{key}': expected {expected}"
    with pytest.raises(InputError, match=message):
        generation_defaults([(B, {key: value})])


def test_files_are_written_with_the_tokenizer_beside(tmp_path: Path) -> None:
    source, output = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "tokenizer.model").write_text("the model")
    names = ("tokenizer.model", "tokenizer.json")
    tokenizer = TokenizerFiles(names, {}, 500, made={"tokenizer.json": b"made of it"})
    config = make(tokenizer=tokenizer)
    write_model_files(config, tokenizer, source, output)
    assert read_json(output / "mlc-chat-config.json") == config
    assert (output / "tokenizer.model").read_text() == "the model"
    assert (output / "tokenizer.json").read_text() == "made of it"
    assert len(list(output.iterdir())) == 3
    assert config["tokenizer_files"] == list(names)


def test_a_file_of_the_tokenizer_goes_with_the_checkpoints(tmp_path: Path) -> None:
    source, output = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    names = ("tokenizer.json", "added_tokens.json")
    for name in names:
        (source / name).write_text("{}")
    before = TokenizerFiles(names, {}, 500)
    after = TokenizerFiles(names[:1], {}, 500)
    output.mkdir()
    (output / "vocab.json").write_text("mine")
    for tokenizer in (before, after):
        write_model_files(make(tokenizer=tokenizer), tokenizer, source, output)
    assert sorted(path.name for path in output.iterdir()) == [
        "mlc-chat-config.json",
        "tokenizer.json",
        "vocab.json",
    ]
    for tokenizer in (before, after):  # in the checkpoint's own folder all stays
        write_model_files(make(tokenizer=tokenizer), tokenizer, source, source)
    assert (source / "added_tokens.json").exists()


@pytest.mark.parametrize("listed", [["../x.tiktoken"], [5], {"a": 1}, ["notes.txt"]])
def test_a_foreign_config_has_nothing_removed(tmp_path: Path, listed: object) -> None:
    source, output = tmp_path / "source", tmp_path / "out"
    for folder in (source, output):
        folder.mkdir()
    for path in (tmp_path / "x.tiktoken", output / "notes.txt"):
        path.touch()
    (output / "mlc-chat-config.json").write_text(
        json.dumps({"tokenizer_files": listed})
    )
    empty = TokenizerFiles((), {}, 500)
    write_model_files(make(tokenizer=empty), empty, source, output)
    assert (tmp_path / "x.tiktoken").exists()
    assert (output / "notes.txt").exists()
