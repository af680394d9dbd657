"""The presets: every file is a model of its architecture, of the size published."""

import json
import math
import re
from pathlib import Path

import pytest

from mlcx.architectures import ARCHITECTURES, architecture
from mlcx.errors import UsageError
from mlcx.presets import preset_file, preset_model_type, preset_names
from mlcx.quant.apply import parameters
from mlcx.quant.scheme import scheme

MILLIONS = {
    "Mixtral-8x7B-v0.1": 46703,
    "aya-23": 8028,
    "codegen_350m": 356.7,
    "codellama_13b": 13016,
    "codellama_34b": 33744,
    "codellama_7b": 6739,
    "gemma2_27b": 27227,
    "gemma2_2b": 2614,
    "gemma2_2b-jpn": 2614,
    "gemma2_9b": 9242,
    "gemma3_1b_it": 999.9,
    "gemma3_270m": 268.1,
    "gemma3_4b_it": 3880,
    "gemma_2b": 2506,
    "gpt2": 124.4,
    "gpt2_medium": 354.8,
    "gpt_j": 6051,
    "internlm2": 7738,
    "internlm2_1_8b": 1889,
    "internlm2_5_7b": 7738,
    "llama2_13b": 13016,
    "llama2_70b": 68977,
    "llama2_7b": 6738,
    "llama3_1_70b": 70554,
    "llama3_1_8b": 8030,
    "llama3_2_1b": 1236,
    "llama3_2_3b": 3213,
    "mistral_7b": 7242,
    "mistral_7b_v03": 7248,
    "moss_moon_003": 16718,
    "olmo2_13b": 13716,
    "olmo2_1b": 1485,
    "olmo2_32b": 32234,
    "olmo2_7b": 7299,
    "phi-1": 1418,
    "phi-1_5": 1418,
    "phi-1_5-mixformer": 1418,
    "phi-2": 2780,
    "phi-3_5": 3821,
    "phi-4": 3836,
    "pythia_70m": 70.43,
    "qwen2": 1526,
    "qwen2.5_3b": 3086,
    "qwen2_0_5b": 494,
    "qwen2_1_5b": 1544,
    "qwen2_7b": 7616,
    "qwen2moe": 14316,
    "qwen3_0.6b": 596,
    "qwen3_1.7b": 1721,
    "qwen3_30b_a3b": 30532,
    "redpajama_3b_v1": 2776,
    "rwkv5_3b": 3063,
    "rwkv6_1_6b": 1600,
    "smollm2_135m": 134.5,
    "smollm2_360m": 361.8,
    "smollm_135m": 134.5,
    "smollm_1_7b": 1711,
    "smollm_360m": 361.8,
    "stablelm": 2795,
    "stablelm-2-zephyr-1_6b": 1645,
    "starcoder2": 7174,
    "starcoder2_3b": 3030,
    "tinyllama_1b_chat_v0.4": 1100,
    "tinyllama_1b_chat_v1.0": 1100,
}
"""Parameters, as the models' cards have it; a head that is the embedding counts once.

MLC's preset qwen2 is tied, which the model of these sizes is not.
"""


def test_the_folder_is_the_registry() -> None:
    assert set(preset_names()) == set(MILLIONS)


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_has_as_many_parameters_as_the_model_published(name: str) -> None:
    module = architecture(preset_model_type(name))
    config = module.Config.from_hf(json.loads(preset_file(name).read_bytes()))
    # A recipe for the head is one that copies the embedding.
    copies = {"lm_head.weight"} & set(module.weights(config))
    listed = parameters(module, config, scheme("q0f16"))
    count = sum(math.prod(one.shape) for one in listed if one.name not in copies)
    assert count == pytest.approx(MILLIONS[name] * 1e6, rel=5e-4)


def test_every_architecture_has_a_preset() -> None:
    assert {preset_model_type(name) for name in preset_names()} == set(ARCHITECTURES)


def test_the_page_lists_every_preset_at_its_architecture() -> None:
    page = (Path(__file__).parents[1] / "docs" / "compile.md").read_text()
    listed = page.partition("## Presets")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", listed, re.MULTILINE))
    for name in preset_names():
        assert f"`{name}`" in rows[preset_model_type(name)]


def test_a_preset_that_is_named_as_an_architecture_has_it() -> None:
    shared = set(preset_names()) & set(ARCHITECTURES)
    assert all(preset_model_type(name) == name for name in shared)


def test_an_unknown_preset_is_refused_with_the_closest_name() -> None:
    with pytest.raises(UsageError, match=r"'llama2-7b': did you mean 'llama2_7b'\?"):
        preset_file("llama2-7b")
