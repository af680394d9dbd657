"""What a person may give as a quantization."""

import json
from pathlib import Path

import pytest

from mlcx.errors import InputError, UsageError
from mlcx.quant.chosen import chosen
from mlcx.quant.mixed import mixed
from mlcx.quant.scheme import scheme

RECIPE = {"base": "q4f16_1", "layers": {"lm_head": "q0f16"}}


def test_a_name_is_a_scheme() -> None:
    assert chosen("q4f16_1") is scheme("q4f16_1")
    with pytest.raises(UsageError, match="unknown quantization 'q4'"):
        chosen("q4")


@pytest.mark.parametrize(("extra", "name"), [({}, "small-head"), ({"name": "x"}, "x")])
def test_a_file_is_a_recipe_named_like_it_or_as_it_says(
    extra: dict[str, str], name: str, tmp_path: Path
) -> None:
    file = tmp_path / "small-head.json"
    file.write_text(json.dumps({**RECIPE, **extra}))
    assert chosen(str(file)) == mixed(name, RECIPE)


def test_json_is_a_recipe_that_says_its_name() -> None:
    assert chosen(json.dumps({"name": "x", **RECIPE})) == mixed("x", RECIPE)
    with pytest.raises(UsageError, match="recipe '': expected a name"):
        chosen(json.dumps(RECIPE))


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not JSON at character 9"):
        chosen('{"base": }')
    with pytest.raises(UsageError, match="a number has too many digits"):
        chosen('{"base": %s}' % ("9" * 5000))
    with pytest.raises(UsageError, match="nested too deep"):
        chosen('{"base": %s' % ("[" * 100_000))
    with pytest.raises(InputError, match=r"none.json: cannot be read"):
        chosen(str(tmp_path / "none.json"))
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(InputError, match="expected a JSON object"):
        chosen(str(tmp_path / "list.json"))
