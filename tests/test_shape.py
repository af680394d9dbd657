from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from mlcx.shape import fits


@dataclass(frozen=True)
class Leaf:
    size: int
    name: str | None = None


@dataclass(frozen=True)
class Tree:
    kind: Literal["a", "b"]
    seconds: float | None
    leaves: Mapping[str, Leaf]
    more: tuple[Tree, ...] = ()
    values: Mapping[str, Any] | None = None


@pytest.mark.parametrize(
    ("value", "right"),
    [
        (Tree("a", 1.5, {}), True),
        (Tree("b", 2, {"x": Leaf(1, "n")}, (Tree("a", None, {}),), {"k": [1]}), True),
        (Tree("c", 1.5, {}), False),
        (Tree(["a"], 1.5, {}), False),
        (Tree("a", "1.5", {}), False),
        (Tree("a", True, {}), False),
        (Tree("a", None, {"x": {"size": 1}}), False),
        (Tree("a", None, {"x": Leaf(1.0)}), False),
        (Tree("a", None, {"x": Leaf(1, 5)}), False),
        (Tree("a", None, {}, [Tree("a", None, {})]), False),
        (Tree("a", None, {}, (Tree("c", None, {}),)), False),
        (Tree("a", None, {}, (), ["k"]), False),
        ({"kind": "a"}, False),
    ],
)
def test_a_value_fits_through_and_through_or_not(value: object, right: bool) -> None:
    assert fits(value, Tree) is right
