"""What is told of a model's config before any step, held against the architectures."""

import json
from typing import Any

import pytest

from mlcx.architectures import ARCHITECTURES, architecture
from mlcx.presets import preset_file, preset_model_type, preset_names
from mlcx.spec.model_config import config_problems, override_problems

PRESETS = {preset_model_type(name): name for name in preset_names()}


def preset(model_type: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(preset_file(PRESETS[model_type]).read_bytes())
    return config


@pytest.mark.parametrize("name", preset_names())
def test_nothing_is_wrong_with_a_published_config(name: str) -> None:
    assert not list(config_problems(json.loads(preset_file(name).read_bytes())))


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_nothing_is_wrong_with_a_normalized_config(model_type: str) -> None:
    config = architecture(model_type).Config.from_hf(preset(model_type))
    chat = {"model_type": model_type, "model_config": config.to_dict()}
    assert not list(config_problems(chat))


@pytest.mark.parametrize("wrong", [None, -1, 2**31, "64", 1.5, True])
@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_all_that_an_architecture_refuses_is_told(model_type: str, wrong: Any) -> None:
    config = preset(model_type)
    part = config.get("text_config", config)
    layers = "n_layer" if "n_layer" in part else "num_hidden_layers"
    part |= {layers: wrong, "vocab_size": wrong}
    problems = list(config_problems(config))
    for key in (layers, "vocab_size"):
        expected = f"'{key}': expected a whole number from 1 to"
        assert any(expected in problem for problem in problems), problems


LLAMA = preset("llama")
MISTRAL = preset("mistral") | {"sliding_window": 4096}


@pytest.mark.parametrize(
    ("config", "overrides", "problems"),
    [
        (LLAMA, {}, []),
        (LLAMA, {"context_window_size": 64, "max_batch_size": 2}, []),
        (LLAMA, {"sliding_window_size": -1}, []),
        (
            LLAMA,
            {"sliding_window_size": 64},
            [("sliding_window_size", "llama has no such field")],
        ),
        (
            LLAMA,
            {"context_window_size": 64, "prefill_chunk_size": 65},
            [("prefill_chunk_size", "65 cannot be: llama makes it 64")],
        ),
        (
            LLAMA,
            {"tensor_parallel_shards": 2, "disaggregation": True},
            [
                ("disaggregation", "expected false, the only way that libraries"),
                ("tensor_parallel_shards", "expected 1, as libraries are for one"),
            ],
        ),
        (
            LLAMA | {"tensor_parallel_shards": 2},
            {},
            [(None, "tensor_parallel_shards: expected 1, as libraries are for one")],
        ),
        (LLAMA | {"tensor_parallel_shards": 2}, {"tensor_parallel_shards": 1}, []),
        (MISTRAL, {"sliding_window_size": -1}, []),
        (MISTRAL, {"sliding_window_size": -1, "context_window_size": 64}, []),
        (
            MISTRAL,
            {"context_window_size": 64},
            [
                (
                    "context_window_size",
                    "64 cannot be: mistral makes it -1; set sliding_window_size to -1",
                )
            ],
        ),
        (
            {"model_config": architecture("mistral").Config.from_hf(MISTRAL).to_dict()}
            | {"model_type": "mistral"},
            {"sliding_window_size": -1},
            [
                (
                    None,
                    "'context_window_size': expected a number of tokens, as no window",
                )
            ],
        ),
        (
            MISTRAL,
            {"sliding_window_size": 64, "attention_sink_size": 64},
            [(None, "attention_sink_size must be less than sliding_window_size")],
        ),
    ],
)
def test_overrides_that_a_model_cannot_follow_are_told(
    config: dict[str, Any],
    overrides: dict[str, Any],
    problems: list[tuple[str | None, str]],
) -> None:
    found = list(override_problems(config, overrides))
    assert [key for key, _ in found] == [key for key, _ in problems]
    for (_, message), (_, expected) in zip(found, problems, strict=True):
        assert message.startswith(expected)


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({}, "found nothing"),
        ({"model_type": 3}, "found 3"),
        ({"model_type": ["llama"]}, "found a list"),
        ({"model_type": "qwen_2"}, 'found "qwen_2": did you mean "qwen2"?'),
        ({"model_config": {"model_type": "x"}}, 'found "x"'),
    ],
)
def test_an_architecture_that_is_not_there_is_told(
    config: dict[str, Any], found: str
) -> None:
    (problem,) = config_problems(config)
    assert problem.startswith('model_type: expected one of "codegen", "cohere", ')
    assert problem.endswith(found)
