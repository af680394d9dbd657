"""Builds of mixed quantizations that a spec declares."""

from __future__ import annotations

import json

import pytest

from .project import Project, write_json

RECIPES = {
    "a": {"base": "q4f16_1", "layers": {"*.down_proj": "q0f16", "lm_head": "q8f16_1"}},
    "b": {"base": "q4f16_1", "layers": {"*.down_proj": "q8f16_1"}},
}
SPEC = "mlc-package-config.json"
EDITED = "app_config dist/bundle/mlc-app-config.json"
"""What any change of a spec makes again."""


def write_spec(project: Project, one: str, two: str, recipes: object) -> None:
    project.write_spec(SPEC, "one", "two")
    spec = json.loads((project.root / SPEC).read_text())
    for entry, name in zip(spec["model_list"], (one, two), strict=True):
        entry["quantization"] = name
    write_json(project.root / SPEC, {**spec, "quantization_recipes": recipes})


@pytest.fixture
def mixed(project: Project) -> Project:
    write_spec(project, "a", "b", RECIPES)
    project.build()
    project.forget_calls()
    return project


def test_a_changed_pattern_builds_again_what_is_of_its_recipe(mixed: Project) -> None:
    changed = {**RECIPES["a"], "layers": {"*.o_proj": "q0f16", "lm_head": "q8f16_1"}}
    write_spec(mixed, "a", "b", {**RECIPES, "a": changed})
    assert mixed.build() == [
        EDITED,
        "bundle dist/bundle/one",
        "compile dist/lib/one.so",
        "convert_weight build/one/model",
        "gen_config build/one/model",
        "normalize build/one/config/a/compile-config.json",
    ]


def test_another_order_of_patterns_is_another_recipe(mixed: Project) -> None:
    turned = dict(reversed(RECIPES["a"]["layers"].items()))
    write_spec(mixed, "a", "b", {**RECIPES, "a": {**RECIPES["a"], "layers": turned}})
    assert "compile dist/lib/one.so" in mixed.build()


def test_another_name_of_the_same_recipe_compiles_nothing(mixed: Project) -> None:
    write_spec(mixed, "c", "b", {"c": RECIPES["a"], "b": RECIPES["b"]})
    assert mixed.build() == [
        EDITED,
        "bundle dist/bundle/one",
        "convert_weight build/one/model",
        "gen_config build/one/model",
        "normalize build/one/config/c/compile-config.json",
    ]


def test_a_recipe_that_nothing_names_builds_nothing(mixed: Project) -> None:
    write_spec(mixed, "a", "b", {**RECIPES, "idle": RECIPES["a"]})
    assert mixed.build() == [EDITED]
