"""compile-config.json: what compiling reads comes through, the rest does not."""

import json
from pathlib import Path

import pytest

from mlcx.compiler.compile_config import CompileConfig, find, parse_overrides
from mlcx.errors import InputError, UsageError

TINY = json.loads((Path(__file__).parents[1] / "tiny" / "llama.json").read_text())


def chat_config(folder: Path, **fields: object) -> Path:
    """Write an MLC chat config of the tiny model, with ``fields`` at its top level."""
    inner = {key: value for key, value in TINY.items() if key != "model_type"}
    top = {"model_type": "llama", "quantization": "q4f16_1", "model_config": inner}
    path = folder / "mlc-chat-config.json"
    path.write_text(json.dumps(top | fields))
    return path


def saved(path: Path, **options: object) -> bytes:
    """Return the bytes of the normalized config."""
    output = path.with_name("compile-config.json")
    CompileConfig.load(path, **options).save(output)  # type: ignore[arg-type]
    return output.read_bytes()


@pytest.mark.parametrize(
    "fields",
    [{"temperature": 0.1}, {"conv_template": {"name": "x"}}, {"bos_token_id": 7}],
)
def test_fields_that_only_running_reads_change_nothing(
    tmp_path: Path, fields: dict
) -> None:
    before = saved(chat_config(tmp_path))
    assert saved(chat_config(tmp_path, **fields)) == before


@pytest.mark.parametrize(
    "fields",
    [
        {"context_window_size": 64},
        {"prefill_chunk_size": 32},
        {"active_vocab_size": 90},
        {"quantization": "q0f16"},
    ],
)
def test_fields_that_compiling_reads_change_it(tmp_path: Path, fields: dict) -> None:
    before = saved(chat_config(tmp_path))
    assert saved(chat_config(tmp_path, **fields)) != before


def test_the_order_of_keys_changes_nothing(tmp_path: Path) -> None:
    path = chat_config(tmp_path)
    before = saved(path)
    turned = dict(reversed(json.loads(path.read_text()).items()))
    path.write_text(json.dumps(turned, indent=7))
    assert saved(path) == before


def test_a_checkpoints_config_and_mlcs_come_out_equal(tmp_path: Path) -> None:
    plain = tmp_path / "config.json"
    plain.write_text(json.dumps(TINY))
    made = TINY | {"max_batch_size": 128}
    active = {"active_vocab_size": TINY["vocab_size"]}
    chat = chat_config(tmp_path, model_config=made, **active)
    assert saved(plain, quantization="q4f16_1") == saved(chat)
    chat = chat_config(tmp_path, model_config=made, active_vocab_size=90)
    assert saved(plain, quantization="q4f16_1", tokens=90) == saved(chat)


@pytest.mark.parametrize(
    ("said", "active"), [(0, None), (-1, None), (None, None), (1, 1), (10**9, "all")]
)
def test_as_in_mlc_zero_is_all_and_more_than_all_is_all(
    tmp_path: Path, said: int | None, active: int | str | None
) -> None:
    config = CompileConfig.load(chat_config(tmp_path, active_vocab_size=said))
    expected = TINY["vocab_size"] if active == "all" else active
    assert config.active_vocab_size == expected


@pytest.mark.parametrize("said", ["abc", 63.5, True, [1]])
def test_active_tokens_are_a_whole_number(tmp_path: Path, said: object) -> None:
    with pytest.raises(InputError, match=r"mlc-chat-config.json: 'active_vocab_size'"):
        CompileConfig.load(chat_config(tmp_path, active_vocab_size=said))


def test_a_normalized_config_normalizes_to_itself(tmp_path: Path) -> None:
    first = saved(chat_config(tmp_path))
    assert saved(tmp_path / "compile-config.json") == first


def test_an_override_reaches_the_field(tmp_path: Path) -> None:
    config = CompileConfig.load(
        chat_config(tmp_path), overrides={"context_window_size": 48}
    )
    assert config.model_config["context_window_size"] == 48
    assert config.model_config["prefill_chunk_size"] == 48


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"sliding_window_size": 32}, "llama has no such field"),
        ({"prefill_chunk_size": 999}, "cannot be: llama makes it 128"),
    ],
)
def test_an_override_without_effect_is_refused(
    tmp_path: Path, overrides: dict, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        CompileConfig.load(chat_config(tmp_path), overrides=overrides)


def test_minus_one_leaves_a_field_as_it_is(tmp_path: Path) -> None:
    before = saved(chat_config(tmp_path))
    open_ones = {"context_window_size": -1, "sliding_window_size": -1}
    assert saved(tmp_path / "mlc-chat-config.json", overrides=open_ones) == before


def test_a_wrong_field_names_the_file(tmp_path: Path) -> None:
    path = chat_config(tmp_path, vocab_size=-1)
    with pytest.raises(InputError, match=r"mlc-chat-config.json: 'vocab_size'"):
        CompileConfig.load(path)


def test_without_a_quantization_the_option_is_named(tmp_path: Path) -> None:
    plain = tmp_path / "config.json"
    plain.write_text(json.dumps(TINY))
    with pytest.raises(UsageError, match="give --quantization"):
        CompileConfig.load(plain)


def test_an_unknown_quantization_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="q4f16_9"):
        CompileConfig.load(chat_config(tmp_path), quantization="q4f16_9")


RECIPE = {"base": "q4f16_1", "layers": {"*.down_proj": "q0f16", "lm_head": "q8f16_1"}}


def test_a_recipe_counts_by_its_content_not_its_name(tmp_path: Path) -> None:
    first, second = (
        saved(chat_config(tmp_path, quantization=name, quantization_recipe=RECIPE))
        for name in ("a", "b")
    )
    assert first == second
    turned = dict(reversed(list(RECIPE["layers"].items())))  # type: ignore[attr-defined]
    other = {**RECIPE, "layers": turned}
    path = chat_config(tmp_path, quantization="a", quantization_recipe=other)
    assert saved(path) != first


def test_what_was_saved_is_read_again_the_same(tmp_path: Path) -> None:
    path = chat_config(tmp_path, quantization="a", quantization_recipe=RECIPE)
    before = saved(path)
    config = CompileConfig.load(tmp_path / "compile-config.json")
    assert config.scheme.name == config.quantization
    config.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == before


def test_an_option_replaces_a_recipe_of_the_config(tmp_path: Path) -> None:
    path = chat_config(tmp_path, quantization="a", quantization_recipe=RECIPE)
    config = CompileConfig.load(path, quantization="q4f16_1")
    assert config.quantization == "q4f16_1"
    assert config.quantization_recipe is None


def test_overrides_are_read_from_text() -> None:
    text = "context_window_size=64; disaggregation=Yes;"
    assert parse_overrides(text) == {"context_window_size": 64, "disaggregation": True}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("temperature=1", "KEY one of context_window_size"),
        ("context_window_size", "expected KEY=VALUE"),
        ("context_window_size=x", "expected a whole number, found 'x'"),
    ],
)
def test_a_wrong_override_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_overrides(text)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a model"):
        find(tmp_path)
