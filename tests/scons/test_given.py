"""What scripts give: quantizations, by name or by recipe."""

from __future__ import annotations

import pytest

from mlcx.errors import UsageError
from mlcx.quant.chosen import chosen
from mlcx.scons.given import expect_scheme

RECIPE = '{"name": "mine", "base": "q4f16_1", "layers": {"lm_head": "q8f16_1"}}'


@pytest.mark.parametrize("text", ["q4f16_1", RECIPE, f"{RECIPE}\n"])
def test_a_quantization_that_verbs_take_is_taken(text: str) -> None:
    expect_scheme("MLCWeights", text)
    assert chosen(text)


@pytest.mark.parametrize("text", ["q4f16_1 ", f" {RECIPE}", "x}"])
def test_one_that_verbs_refuse_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="unknown quantization"):
        chosen(text)
    with pytest.raises(UsageError, match="MLCWeights: quantization: expected one of"):
        expect_scheme("MLCWeights", text)


def test_a_recipe_in_a_file_is_for_its_step_to_read() -> None:
    expect_scheme("MLCWeights", "there is none.json")


def test_what_is_close_is_guessed() -> None:
    guess = """found 'Q4F16-1': did you mean "q4f16_1"\\?"""
    with pytest.raises(UsageError, match=guess):
        expect_scheme("MLCWeights", "Q4F16-1")
