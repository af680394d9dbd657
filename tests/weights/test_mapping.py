"""Finding the tensors that make a model's parameters."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from mlcx.errors import InputError
from mlcx.recipe import Join, Recipe, joined
from mlcx.weights.mapping import Mapped, Parameter, WeightMap, map_weights
from mlcx.weights.tensor import Tensor

FILE = Path("model.safetensors")
RECIPES = joined("l.{i}.", "qk", "q", "k")


def parameter(name: str, *shape: int) -> Parameter:
    return Parameter(name, shape, "float16")


def tensor(name: str, *shape: int) -> Tensor:
    return Tensor(name, FILE, "F16", shape, 0)


MODEL = [
    parameter("embed", 5, 2),
    parameter("l.0.qk", 4, 2),
    parameter("l.10.qk", 4, 2),
]
TENSORS = [
    tensor("l.10.k", 1, 2),
    tensor("embed", 5, 2),
    tensor("l.0.k", 1, 2),
    tensor("l.0.q", 3, 2),
    tensor("l.10.q", 3, 2),
]


def run(tensors: list[Tensor], unused: tuple[str, ...] = ()) -> WeightMap:
    return map_weights(MODEL, RECIPES, unused, tensors, FILE)


def messages(tensors: list[Tensor]) -> list[str]:
    with pytest.raises(InputError) as caught:
        run(tensors)
    return [problem.message for problem in caught.value.problems]


def test_parameters_come_where_the_first_of_their_tensors_stands() -> None:
    found = {
        each.parameter.name: [source.name for source in each.sources]
        for each in run(TENSORS).mapped
    }
    assert list(found.items()) == [
        ("l.10.qk", ["l.10.q", "l.10.k"]),
        ("embed", ["embed"]),
        ("l.0.qk", ["l.0.q", "l.0.k"]),
    ]


def test_tensors_declared_unused_count_for_nothing_and_others_are_named() -> None:
    extra = [tensor("l.0.freq", 7), tensor("l.x.freq", 100), tensor("head", 10)]
    found = run([*TENSORS, *extra], ("l.{i}.freq", "absent"))
    assert found.ignored == ("l.x.freq", "head")
    assert found.source_elements == 10 + 4 * 2 * 2 + 100 + 10


def test_a_dot_in_a_pattern_is_a_dot() -> None:
    assert run([*TENSORS, tensor("l.0xfreq", 7)], ("l.{i}.freq",)).ignored


def test_everything_that_does_not_fit_is_reported_at_once() -> None:
    wrong = [
        tensor("l.10.k", 2, 2),
        tensor("embeds", 5, 2),
        tensor("l.0.k", 1, 3),
        tensor("l.0.q", 3, 2),
        replace(tensor("l.10.q", 3, 2), dtype="I32"),
    ]
    assert messages(wrong) == [
        "lacks tensor embed; did it mean embeds?",
        "l.0.qk: expected [4, 2], found l.0.q [3, 2] + l.0.k [1, 3]",
        "tensor l.10.q: expected one of the dtypes F16, BF16, F32, found I32",
        "l.10.qk: expected [4, 2], found l.10.q [3, 2] + l.10.k [2, 2]",
        "the model has no use for 1 tensor of the checkpoint: embeds",
    ]


def test_only_the_first_missing_tensors_are_compared_with_what_there_is() -> None:
    wanted = [parameter(f"model.{n}.weight", 2) for n in range(5)]
    found = [tensor(f"text_model.{n}.weight", 2) for n in range(5)]
    with pytest.raises(InputError) as caught:
        map_weights(wanted, {}, (), found, FILE)
    *missing, extra = (each.message for each in caught.value.problems)
    assert "no use for 5 tensors" in extra
    hints = ["did it mean" in message for message in missing]
    assert hints == [True, True, True, False, False]


def test_every_missing_tensor_of_a_joined_parameter_is_named() -> None:
    assert messages([tensor("embed", 5, 2), *TENSORS[0:1], *TENSORS[4:]]) == [
        "lacks tensor l.0.q, which l.0.qk is made of",
        "lacks tensor l.0.k, which l.0.qk is made of",
    ]


def test_a_tensor_without_axes_joins_nothing() -> None:
    wrong = [*TENSORS[:2], tensor("l.0.k"), tensor("l.0.q"), TENSORS[4]]
    assert messages(wrong) == ["l.0.qk: expected [4, 2], found l.0.q [] + l.0.k []"]


def runs(recipe: Recipe, *tensors: Tensor) -> list[tuple[str, int, int]]:
    mapped = Mapped(parameter("p", 1), tensors, recipe)
    return [(run.tensor.name, run.first, run.size) for run in mapped.runs()]


def test_joined_tensors_are_read_one_after_the_other() -> None:
    recipe = Recipe(("a", "b"))
    tensors = tensor("a", 3, 2), tensor("b", 1, 2)
    assert runs(recipe, *tensors) == [("a", 0, 6), ("b", 0, 2)]


def test_rows_in_groups_are_read_part_by_part() -> None:
    """Two heads' queries, keys and values: rows q0 k0 v0 q1 k1 v1 of five elements."""
    found = runs(Recipe(("a",), groups=2, parts=(1, 1, 1)), tensor("a", 6, 5))
    assert [first // 5 for _, first, _ in found] == [0, 3, 1, 4, 2, 5]
    assert {size for _, _, size in found} == {5}


def test_parts_may_be_of_different_heights() -> None:
    """Two groups of two query heads that share a key and a value head, of two rows."""
    found = runs(Recipe(("a",), groups=2, parts=(2, 1, 1)), tensor("a", 16, 3))
    places = [(first // 6, size // 6) for _, first, size in found]
    assert places == [(0, 2), (4, 2), (2, 1), (6, 1), (3, 1), (7, 1)]


def test_parts_may_come_in_another_order() -> None:
    """Two groups of rows q0 v0 k0 q1 v1 k1 of five elements."""
    recipe = Recipe(("a",), groups=2, parts=(1, 1, 1), order=(0, 2, 1))
    found = runs(recipe, tensor("a", 6, 5))
    assert [first // 5 for _, first, _ in found] == [0, 3, 2, 5, 1, 4]


def test_the_columns_of_a_transposed_tensor_are_rows() -> None:
    recipes = {"p": Recipe(("a", "b"), transposed=True)}
    wide = [tensor("a", 2, 3), tensor("b", 2, 4)]
    mapped = map_weights([parameter("p", 7, 2)], recipes, (), wide, FILE).mapped[0]
    assert [(run.first, run.size) for run in mapped.runs()] == [(0, 6), (0, 8)]
    message = r"p: expected \[2, 7\] transposed, found a \[2, 3\] \+ b \[2, 4\]"
    with pytest.raises(InputError, match=message):
        map_weights([parameter("p", 2, 7)], recipes, (), wide, FILE)


@pytest.mark.parametrize("prefix", ["", "body."])
def test_what_is_in_brackets_may_be_missing_from_all_names(prefix: str) -> None:
    recipes = {"l.{i}.p": Recipe(("[body.]l.{i}.p",))}
    tensors = [tensor(f"{prefix}l.7.{name}", 2) for name in ("p", "mask")]
    unused = ("[body.]l.{i}.mask",)
    found = map_weights([parameter("l.7.p", 2)], recipes, unused, tensors, FILE)
    assert [each.name for each in found.mapped[0].sources] == [f"{prefix}l.7.p"]
    assert not found.ignored
    with pytest.raises(InputError, match=r"lacks tensor body\.l\.7\.p, which l\.7\.p"):
        map_weights([parameter("l.7.p", 2)], recipes, (), tensors[1:], FILE)


def test_a_stack_is_made_of_the_joined_rows_of_its_layers() -> None:
    recipes = {"moe": Recipe(("e0", "e1"))}
    experts = [tensor("e0", 3, 4), tensor("e1", 3, 4)]
    mapped = map_weights([parameter("moe", 2, 3, 4)], recipes, (), experts, FILE)
    assert [each.name for each in mapped.mapped[0].sources] == ["e0", "e1"]
    with pytest.raises(
        InputError, match=r"moe: expected \[3, 2, 5\], found e0 \[3, 4\]"
    ):
        map_weights([parameter("moe", 3, 2, 5)], recipes, (), experts, FILE)


@pytest.mark.parametrize(
    ("join", "shapes", "made"),
    [
        (Join("columns"), [(4, 3), (4, 2)], (4, 5)),
        (Join("columns", taller=8), [(4, 16), (4, 8)], (32, 3)),
        (Join("rows", multiple=2), [(4, 3), (3, 3)], (7, 3)),
        (Join("same"), [(6,), (6,)], (6,)),
    ],
)
def test_tensors_are_joined_as_the_recipe_says(
    join: Join, shapes: list[tuple[int, ...]], made: tuple[int, ...]
) -> None:
    recipes = {"p": Recipe(("a", "b"), join=join)}
    tensors = [tensor(n, *shape) for n, shape in zip("ab", shapes, strict=True)]
    found = map_weights([parameter("p", *made)], recipes, (), tensors, FILE)
    assert [each.name for each in found.mapped[0].sources] == ["a", "b"]


@pytest.mark.parametrize(
    ("join", "shapes", "message"),
    [
        (
            Join("columns"),
            [(4, 3), (5, 2)],
            "expected [4, 5], found a [4, 3] + b [5, 2]",
        ),
        (Join("columns", taller=8), [(4, 16), (4, 8)], "found a [4, 16] + b [4, 8]"),
        (Join("same"), [(4, 5), (5,)], "found a [4, 5] + b [5]"),
        (Join(multiple=2), [(3, 5), (1, 5)], "all but the last to be a multiple of 2"),
    ],
)
def test_tensors_that_cannot_be_joined_so_are_named(
    join: Join, shapes: list[tuple[int, ...]], message: str
) -> None:
    recipes = {"p": Recipe(("a", "b"), join=join)}
    tensors = [tensor(n, *shape) for n, shape in zip("ab", shapes, strict=True)]
    with pytest.raises(InputError, match=re.escape(message)):
        map_weights([parameter("p", 4, 5)], recipes, (), tensors, FILE)
