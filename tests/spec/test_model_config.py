"""What is told of a model's config before any step, held against the architectures."""

import json
from typing import Any

import pytest

from mlcx.architectures import ARCHITECTURES, architecture
from mlcx.errors import InputError
from mlcx.presets import preset_file, preset_model_type, preset_names
from mlcx.spec.model_config import config_problems, sizes_of

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


@pytest.mark.parametrize("wrong", [..., None, -1, 2**31, "64", 1.5, True])
@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_a_size_that_is_told_is_one_that_the_architecture_refuses(
    model_type: str, wrong: Any
) -> None:
    for key in sizes_of(model_type):
        config = preset(model_type)
        part = config.get("text_config", config)
        part[key] = wrong
        if wrong is ...:
            del part[key]
        (problem,) = config_problems(config)
        assert problem.startswith(f"{key}: expected a whole number from 1")
        with pytest.raises(InputError, match=f"'{key}'"):
            architecture(model_type).Config.from_hf(config)


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
