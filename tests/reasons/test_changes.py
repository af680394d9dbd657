"""How changes read."""

from __future__ import annotations

import pytest

from mlcx.reasons.changes import Change, between, of_texts, summary

OLD = {"a": 1, "b": {"c": "x", "d": [1, {"e": None}]}, "gone": True, "n": 1}
NEW = {"a": 1, "b": {"c": "y", "d": [1, {"e": 2.5}]}, "here": [], "n": True}


def test_values_are_compared_to_their_depths() -> None:
    found = between("source", "dir/config.json", OLD, NEW)
    assert [str(change) for change in found] == [
        "dir/config.json: b.c x → y",
        "dir/config.json: b.d[1].e null → 2.5",
        "dir/config.json: gone removed, was true",
        "dir/config.json: here added, []",
        "dir/config.json: n 1 → true",
    ]


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("O2", "O3", ["O2 → O3"]),
        ("O2", "O2", []),
        (None, "O3", ["added, O3"]),
        ("O2", None, ["removed, was O2"]),
        ("a=1;b=2", "a=1;b=3;c=4", ["b 2 → 3", "c added, 4"]),
        (None, "a=1", ["a added, 1"]),
        ('{"base":"x"}', '{"base":"y"}', ["base x → y"]),
        ("x avx a b c d e f g", "x avx2 a b c d e f g", ["avx removed", "avx2 added"]),
        # Of a recipe's patterns the last that matches counts.
        (
            '{"base":"x","layers":{"*.a":"y","b.*":"z"}}',
            '{"base":"x","layers":{"b.*":"z","*.a":"y"}}',
            ["layers in another order"],
        ),
        ('{"a":1} {"b":1}', '{"a":1} {"b":2}', ['{"a":1} {"b":1} → {"a":1} {"b":2}']),
        ("a=1;b=2", "b=2;a=1", ["in another order"]),
        ("a b c d e f g h", "b a c d e f g h", ["in another order"]),
        ('{"a":1}', '{"a": 1}', ["changed"]),
    ],
)
def test_texts_are_compared_by_their_parts(
    old: str | None, new: str | None, lines: list[str]
) -> None:
    found = of_texts("option", "name", old, new)
    assert [str(each).removeprefix("option --name: ") for each in found] == lines


def test_models_of_a_list_are_told_by_their_ids() -> None:
    def spec(*ids: str, quantization: str = "q4f16_1") -> dict[str, object]:
        scheme = {"quantization": quantization, "conv_template": "chatml"}
        return {"model_list": [{"model": "m", "model_id": i, **scheme} for i in ids]}

    def said(old: object, new: object) -> list[str]:
        return [str(each) for each in between("source", "a.json", old, new)]  # type: ignore[arg-type]

    two = spec("one", "two")
    assert said(two, spec("one")) == ["a.json: model_list.two removed"]
    assert said(spec("two"), two) == ["a.json: model_list.one added"]
    assert said(spec("two"), spec("two", quantization="q0f16")) == [
        "a.json: model_list.two.quantization q4f16_1 → q0f16"
    ]
    assert said(two, spec("two", "one")) == [
        "a.json: model_list[0].model_id one → two",
        "a.json: model_list[1].model_id two → one",
    ]


def test_long_values_are_cut() -> None:
    change = Change("option", "opt", old="a", new="b")
    assert str(change) == "option --opt: a → b"
    (long,) = of_texts("fact", "rows", "x" * 500, "y" * 500)
    assert len(str(long)) < 120


def test_a_line_names_three_changes_and_counts_the_rest() -> None:
    found = [Change("option", f"o{n}", old="1", new="2") for n in range(5)]
    assert summary(found) == "o0 1 → 2; o1 1 → 2; o2 1 → 2; and 2 more"
    assert summary(found[:1]) == "o0 1 → 2"
    moved = Change("moved", "c.json", old="a/c.json", new="b/c.json")
    assert summary([moved]) == "c.json a/c.json → b/c.json"
    for kind in ("moved", "new"):
        told = Change(kind, "c.json", old="a", new="b", because=tuple(found[:1]))
        assert summary([told]) == "o0 1 → 2"
    assert summary([Change("missing", "dist/x.so"), Change("new", "y")]) == (
        "x.so is missing; new"
    )
