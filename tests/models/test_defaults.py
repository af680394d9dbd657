"""Configs are read as transformers reads them: what they leave out, and older names."""

import json

import pytest

from mlcx.architectures import ARCHITECTURES, architecture
from mlcx.errors import InputError
from mlcx.presets import preset_file, preset_names

from .conftest import tiny

OTHERWISE = {
    "intermediate_size": "tensors of another width are refused",
    "num_key_value_heads": "likewise",
    "original_max_position_embeddings": "counts only where RoPE is scaled",
    "sliding_window_pattern": "6 or 4 are the same to three layers that slide",
    "sliding_window": "of Mistral: none, as in MLC LLM",
}
"""Fields whose absence means something else here, and why it may."""


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_field_left_out_is_as_transformers_fills_it_in(name: str) -> None:
    auto = pytest.importorskip("transformers.models.auto.configuration_auto")
    if name not in auto.CONFIG_MAPPING:
        pytest.skip("not in transformers")
    read, plain = architecture(name).Config.from_hf, tiny(name)
    for key in sorted(plain.keys() - OTHERWISE.keys() - {"model_type"}):
        left = {each: value for each, value in plain.items() if each != key}
        try:
            found = read(left)
        except InputError:
            continue
        filled = auto.CONFIG_MAPPING[name].from_dict(left).to_dict()
        assert found == read(filled), key


def test_a_base_of_rope_that_transformers_changed_its_mind_about_is_asked_for() -> None:
    left = {key: value for key, value in tiny("cohere").items() if key != "rope_theta"}
    with pytest.raises(InputError, match="'rope_theta': expected a number greater"):
        architecture("cohere").Config.from_hf(left)


@pytest.mark.filterwarnings("ignore:`rope_scaling` is deprecated")
@pytest.mark.parametrize("name", preset_names())
def test_a_config_that_transformers_has_rewritten_says_the_same(name: str) -> None:
    auto = pytest.importorskip("transformers.models.auto.configuration_auto")
    config = json.loads(preset_file(name).read_bytes())
    kind = config["model_type"]
    if kind not in auto.CONFIG_MAPPING:
        pytest.skip("not in transformers")
    rewritten = auto.CONFIG_MAPPING[kind].from_dict(dict(config)).to_dict()
    # Gemma's two names of one function.
    same = {"hidden_activation": "gelu"}
    read = architecture(kind).Config.from_hf
    assert read(rewritten).to_dict() | same == read(config).to_dict() | same
