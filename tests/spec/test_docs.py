"""What the pages show of specs is so."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mlcx.spec import load, schema

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "specs.md"
BLOCKS = [
    block
    for name in ("specs.md", "quality.md")
    for block in re.findall(r"```json\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)
]


@pytest.mark.parametrize("block", BLOCKS)
def test_the_specs_of_the_pages_are_valid(
    write: Callable[..., str], here: Path, block: str
) -> None:
    (here / "checkpoint").rename(here / "sample-model")
    assert load(write(block)).libraries


@pytest.mark.parametrize("kind", schema.SCHEMAS)
def test_the_page_names_every_key(kind: schema.SpecKind) -> None:
    parts = [schema.load(kind), *schema.load(kind)["$defs"].values()]
    keys = {key for part in parts for key in part.get("properties", {})}
    assert not {key for key in keys if f"`{key}`" not in PAGE.read_text()}


def test_the_pages_have_both_kinds() -> None:
    roots = [json.loads(block).keys() for block in BLOCKS]
    assert any("model_list" in keys for keys in roots)
    assert any("tasks" in keys for keys in roots)
