"""The figures of comparisons, and the table that they make."""

from __future__ import annotations

import re
from pathlib import Path

import figures
import pytest
from figures import Figure

DAY = "2026-11-28"


def figure(model: str, quantization: str, value: float, what: str = "logits") -> Figure:
    return Figure(model, quantization, what, value, DAY)


def test_a_run_replaces_what_it_found_and_removes_what_failed() -> None:
    kept = {name: figure("llama", "q0f32", 1e-6) for name in ("a", "b", "c")}
    found = {"b": figure("llama", "q0f32", 2e-6), "c": figure("llama", "q0f32", 9)}
    expected = {"a": kept["a"], "b": found["b"]}
    assert figures.merged(kept, found, ["c", "never kept"]) == expected


def test_what_is_kept_is_read_back(tmp_path: Path) -> None:
    kept = {"b": figure("llama", "q0f32", 1.5e-6), "a": figure("phi", "q0f16", 0)}
    figures.write(tmp_path / "kept.json", kept)
    found = figures.read(tmp_path / "kept.json")
    assert found == kept
    assert list(found) == ["a", "b"]
    assert figures.read(tmp_path / "none.json") == {}


def test_a_cell_says_that_files_are_equal_or_has_the_largest_difference() -> None:
    found = [
        figure("llama", "q0f32", 3e-6),
        figure("llama", "q0f32", 1e-6),
        figure("llama", "q4f16_1", 1, "bytes"),
        figure("phi", "q4f16_1", 1, "bytes"),
        figure("phi", "q4f16_1", 0.0021),
        figure("rwkv5", "q4f16_1", 0.002),
        figure("phi", "q8f16_1", 0.002),
        figure("olmo2", "e5m2_e5m2_f16", 0.5),
        figure("qwen3", "q8bf16_1", 0),
    ]
    assert figures.table(found).splitlines() == [
        "### Files",
        "",
        "| model | q4f16_1 |",
        "| --- | --- |",
        "| llama | equal |",
        "| phi | equal |",
        "",
        "### Logits in float32",
        "",
        "| model | q0f32 |",
        "| --- | --- |",
        "| llama | 3.0e-06 |",
        "",
        "### Logits in float16",
        "",
        "| model | q4f16_1 |",
        "| --- | --- |",
        "| phi | 2.1e-03 |",
        "| rwkv5 | 2.0e-03 |",
        "",
        "- `e5m2_e5m2_f16`: olmo2 5.0e-01",
        "- `q8f16_1`: phi 2.0e-03",
        "",
        "### Logits in bfloat16",
        "",
        "| model | q8bf16_1 |",
        "| --- | --- |",
        "| qwen3 | 0.0e+00 |",
    ]


def test_a_table_takes_the_place_of_the_one_before() -> None:
    page = figures.PAGE.read_text()
    once = figures.put(page, "| new |\n")
    assert "| new |" in once
    assert figures.put(once, "| newer |\n").count("| new") == 1
    assert once.partition("<!--")[0] == page.partition("<!--")[0]
    with pytest.raises(ValueError, match="in the page"):
        figures.put("no table", "")


def test_the_page_has_the_table_of_what_is_kept() -> None:
    page, kept = figures.PAGE.read_text(), figures.read(figures.KEPT)
    assert figures.put(page, figures.table(kept.values())) == page


def test_figures_are_of_tests_that_there_are() -> None:
    """A test that is gone takes its figures with it: its parameters may differ."""
    for case in figures.read(figures.KEPT):
        path, _, name = case.partition("::")
        name = re.sub(r"\[.*", "", name, flags=re.DOTALL)
        assert f"def {name}(" in (figures.TESTS.parent / path).read_text(), case
