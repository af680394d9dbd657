"""Finding the tensors that make a model's parameters."""

from dataclasses import replace
from pathlib import Path

import pytest

from mlcx.errors import InputError
from mlcx.weights.mapping import Parameter, WeightMap, map_weights
from mlcx.weights.safetensors import Tensor

FILE = Path("model.safetensors")
RULES = {"l.{i}.qk": ("l.{i}.q", "l.{i}.k")}


def parameter(name: str, *shape: int) -> Parameter:
    return Parameter(name, shape, "float16", quantized=False)


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
    return map_weights(MODEL, RULES, unused, tensors, FILE)


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
        "lacks tensor embed, which embed is made of; did it mean embeds?",
        "l.0.qk: expected [4, 2], found l.0.q [3, 2] + l.0.k [1, 3]",
        "tensor l.10.q: expected one of the dtypes F16, BF16, F32, found I32",
        "l.10.qk: expected [4, 2], found l.10.q [3, 2] + l.10.k [2, 2]",
    ]


def test_every_missing_tensor_of_a_joined_parameter_is_named() -> None:
    assert messages([tensor("embed", 5, 2), *TENSORS[0:1], *TENSORS[4:]]) == [
        "lacks tensor l.0.q, which l.0.qk is made of",
        "lacks tensor l.0.k, which l.0.qk is made of",
    ]


def test_a_tensor_without_axes_joins_nothing() -> None:
    wrong = [*TENSORS[:2], tensor("l.0.k"), tensor("l.0.q"), TENSORS[4]]
    assert messages(wrong) == ["l.0.qk: expected [4, 2], found l.0.q [] + l.0.k []"]
