"""What the pages show of specs is so."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mlcx.spec import load, schema

DOCS = Path(__file__).parents[2] / "docs"
SOURCES = DOCS.parent / "mlcx"
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


def test_the_page_for_who_comes_from_mlc_has_its_keys_and_variables() -> None:
    page = (DOCS / "mlc-llm.md").read_text()
    ours = set(
        "quantization conv_template float32 host mcpu archs verify $schema".split()
    )
    names: tuple[tuple[schema.SpecKind, str], ...]
    names = (("package", "entry"), ("delivery", "task"))
    for kind, name in names:
        spec = schema.load(kind)
        keys = {*spec["properties"], *spec["$defs"][name]["properties"]}
        keys -= {*ours, "quantization_recipes", "default_verify"}
        assert not {key for key in keys if f"`{key}`" not in page}
    sources = "".join(path.read_text() for path in SOURCES.rglob("*.py"))
    read = set(re.findall(r'"((?:MLC|HF)_[A-Z_]+)"', sources))
    assert len(read) > 9
    assert not {name for name in read if f"`{name}`" not in page}


def test_the_pages_have_both_kinds() -> None:
    roots = [json.loads(block).keys() for block in BLOCKS]
    assert any("model_list" in keys for keys in roots)
    assert any("tasks" in keys for keys in roots)
