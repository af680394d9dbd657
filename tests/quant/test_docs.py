"""What docs/quantize.md says is so."""

import argparse
import json
import re
import shlex
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from mlcx.cli import VERBS
from mlcx.quant.group import GroupScheme
from mlcx.quant.mixed import mixed
from mlcx.quant.packing import Layer
from mlcx.quant.plain import PlainScheme, dtype_named
from mlcx.quant.scheme import SCHEMES

PAGE = (Path(__file__).parents[2] / "docs" / "quantize.md").read_text()
ROWS = {
    cells[0].strip("`"): cells[1:]
    for line in re.findall(r"^\| (`.*) \|$", PAGE.split("\n\n- ")[0], re.MULTILINE)
    if (cells := [cell.strip() for cell in line.split("|")])
}
SHAPE = (4096, 20480)
"""Of a linear layer whose rows are whole groups of every size."""


def test_the_table_has_every_scheme() -> None:
    assert set(ROWS) >= {
        name
        for name, each in SCHEMES.items()
        if isinstance(each, GroupScheme | PlainScheme)
    }


@pytest.mark.parametrize("name", ROWS)
def test_a_row_says_what_the_scheme_stores(name: str) -> None:
    scheme = SCHEMES[name]
    packing = scheme.packing(Layer("a", "linear", SHAPE))
    parts = {"a.weight": (SHAPE, scheme.model_dtype)}
    if packing is not None:
        parts = packing.parts("a.weight", SHAPE)
    stored = sum(
        np.prod(shape) * dtype_named(dtype).itemsize for shape, dtype in parts.values()
    )
    _, _, dtype, size, _ = ROWS[name]
    assert (dtype, float(size)) == (scheme.model_dtype, stored / np.prod(SHAPE))


@pytest.mark.parametrize(
    "name", [name for name in ROWS if isinstance(SCHEMES[name], GroupScheme)]
)
def test_a_row_of_groups_says_how_they_are_made(name: str) -> None:
    scheme = SCHEMES[name]
    assert isinstance(scheme, GroupScheme)
    bits, group, *_, left = ROWS[name]
    assert (int(bits), int(group)) == (scheme.linear.bits, scheme.linear.group_size)
    all_packed = scheme.quantize_embedding and scheme.quantize_final_fc
    assert (left == "") is all_packed


@pytest.mark.parametrize("block", re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
def test_the_recipes_of_the_page_are_some(block: str) -> None:
    recipe = mixed("some", json.loads(block))
    name = "model.layers.0.mlp.down_proj"
    layer = Layer(name, "linear", (64, 96))
    assert recipe.packing(layer) == SCHEMES["q8f16_1"].packing(layer)


@pytest.mark.parametrize("line", re.findall(r"^mlcx .*", PAGE, re.MULTILINE))
def test_the_commands_of_the_page_are_some(line: str) -> None:
    _, name, *words = shlex.split(line)
    parser = argparse.ArgumentParser(exit_on_error=False)
    module = import_module(f"mlcx.cli.{VERBS[name].module}")
    vars(module)[f"{name}_arguments"](parser)
    assert parser.parse_args(words).output.name in {"DIR", "model.so"}
