"""What a config leaves out is read as transformers fills it in, or refused."""

import pytest

from mlcx.architectures import ARCHITECTURES, architecture
from mlcx.errors import InputError

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
