"""The table of schemes."""

import pytest

from mlcx.errors import UsageError
from mlcx.quant.group import GroupScheme
from mlcx.quant.plain import PlainScheme
from mlcx.quant.scheme import SCHEMES, scheme


def test_names_say_bits_and_model_dtype() -> None:
    dtypes = {"f16": "float16", "bf16": "bfloat16", "f32": "float32"}
    for name, each in SCHEMES.items():
        assert name == each.name
        assert each.model_dtype == dtypes[name.split("_")[0][2:]]
        bits = each.bits if isinstance(each, GroupScheme) else 0
        assert bits == int(name[1])


def test_kinds_can_be_told_apart_without_their_classes() -> None:
    assert scheme("q0f16").kind == "plain"
    assert isinstance(scheme("q0f16"), PlainScheme)
    assert scheme("q4f32_1").kind == "group"


def test_an_unknown_name_is_refused_with_the_close_and_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'q4f16-1': did you mean 'q4f16_1'\?.*q0f32"):
        scheme("q4f16-1")


def test_four_bits_take_four_words_for_32_elements() -> None:
    each = scheme("q4f16_1")
    assert isinstance(each, GroupScheme)
    assert (each.max_code, each.codes_per_word, each.words_per_group) == (7, 8, 4)
    assert each.parts("a.weight", (6, 40)) == {
        "a.q_weight": ((6, 8), "uint32"),
        "a.q_scale": ((6, 2), "float16"),
    }
