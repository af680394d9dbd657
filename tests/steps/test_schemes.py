"""What is read of a quantization in the options of a step."""

import pytest

from mlcx.steps.schemes import bits, scale_bytes, scheme


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("q4f16_1", "q4f16_1"),
        ('{"base": "q8f16_1", "layers": {}}\n', "q8f16_1"),
        ("{}", ""),
        ('{"base": ', ""),
        ("mine.json", "mine.json"),
    ],
)
def test_a_recipe_counts_as_its_base_and_none_is_left_to_its_step(
    given: str, base: str
) -> None:
    assert scheme(["-o", "out", "--quantization", given]) == base


def test_nothing_is_known_of_what_is_no_scheme() -> None:
    assert (bits(""), scale_bytes("")) == (None, 0.0)
