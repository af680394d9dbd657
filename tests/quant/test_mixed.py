"""Mixed schemes: which layer gets which scheme, and what a recipe may be."""

import pytest

from mlcx.errors import UsageError
from mlcx.quant.mixed import MixedScheme, mixed
from mlcx.quant.packing import Layer
from mlcx.quant.scheme import scheme

RECIPE = {
    "base": "q4f16_1",
    "layers": {"*.down_proj": "q0f16", "layers.0.*": "q8f16_1", "lm_head": "q4f16_2"},
}
MIXED = mixed("some", RECIPE)


def linear(name: str) -> Layer:
    return Layer(name, "linear", (64, 96))


DOWN = [linear(f"model.layers.{i}.mlp.down_proj") for i in range(2)]
GATE_UP = [linear(f"model.layers.{i}.mlp.gate_up_proj") for i in range(2)]
HEAD = linear("lm_head")


@pytest.mark.parametrize(
    ("layer", "chosen"),
    [
        (GATE_UP[1], "q4f16_1"),
        (DOWN[1], "q0f16"),
        (GATE_UP[0], "q8f16_1"),
        (DOWN[0], "q8f16_1"),
    ],
)
def test_the_last_pattern_that_matches_a_layer_counts(
    layer: Layer, chosen: str
) -> None:
    assert MIXED.packing(layer) == scheme(chosen).packing(layer)


def test_the_scheme_of_a_layer_follows_its_own_rules() -> None:
    assert MIXED.packing(HEAD) is None
    router = Layer("model.layers.0.mlp.gate", "linear", (8, 64))
    assert MIXED.packing(router) is None
    table = Layer("model.embed_tokens", "embedding", (99, 64))
    assert MIXED.packing(table) == scheme("q4f16_1").packing(table)


def test_content_declares_the_same_again() -> None:
    assert MIXED.content() == RECIPE
    assert mixed("some", MIXED.content()) == MIXED


def test_the_nameless_one_is_named_by_its_content_in_its_order() -> None:
    other = mixed("other", RECIPE)
    assert other.nameless() == MIXED.nameless() != MIXED
    assert MIXED.nameless().name.startswith("q4f16_1-mixed-")
    turned = dict(reversed(list(RECIPE["layers"].items())))  # type: ignore[attr-defined]
    changed = mixed("some", {**RECIPE, "layers": turned})
    assert changed.nameless().name != MIXED.nameless().name
    # It must do as a name again.
    assert isinstance(mixed(MIXED.nameless().name, RECIPE), MixedScheme)


def test_a_pattern_without_a_layer_is_refused_with_those_that_are_near() -> None:
    wrong = mixed("some", {**RECIPE, "layers": {"*.dwn_proj": "q0f16", "x": "q0f16"}})
    with pytest.raises(UsageError) as caught:
        wrong.check([*DOWN, *GATE_UP, HEAD])
    assert str(caught.value) == (
        "quantization recipe 'some': '*.dwn_proj' matches no layer of this model; near "
        "are 'down_proj', 'gate_up_proj'; 'x' matches no layer of this model; near are "
        "'model.layers.*.mlp.down_proj', 'model.layers.*.mlp.gate_up_proj', 'lm_head'"
    )
    MIXED.check([*DOWN, *GATE_UP, HEAD])


NO_LAYERS = "expected layers to be patterns and their schemes"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("Q4F16_1", {}, "its name is that of a scheme: choose another"),
        ("a/b", {}, "expected a name of letters, digits"),
        ("", {}, "expected a name of letters, digits"),
        ("-a", {}, "expected a name of letters, digits"),
        ("a" * 65, {}, "expected a name of letters, digits"),
        ("a", {"extra": 1}, "expected the keys base and layers, found base, layers,"),
        ("a", {"layers": {}}, f"{NO_LAYERS}, found none"),
        ("a", {"layers": ["q0f16"]}, f"{NO_LAYERS}, found ['q0f16']"),
        ("a", {"base": "q4f17_1"}, "unknown scheme 'q4f17_1': did you mean 'q4f16_1'"),
        ("a", {"layers": {"x": 4}}, "unknown scheme '4': expected one of"),
        ("a", {"layers": {"a b": "q0f16"}}, "'a b' is no pattern of layers' names"),
        ("a", {"layers": {"[a": "q0f16"}}, "'[a' is no pattern of layers' names"),
        (
            "a",
            {"layers": {"x": "q0f32"}},
            "'x': expected a scheme with the model dtype of q4f16_1, float16; q0f32 "
            "has float32",
        ),
    ],
)
def test_what_is_no_recipe_is_explained(name: str, change: dict, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        mixed(name, {**RECIPE, **change})
    assert f"quantization recipe {name!r}: {message}" in str(caught.value)
