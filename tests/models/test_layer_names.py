"""Which layers of a model a pattern means."""

import pytest

from mlcx.architectures.layer_names import idle, matches

DOWN = "model.layers.1.mlp.down_proj"


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("model.layers.1.mlp.down_proj", True),
        ("layers.1.*", True),
        ("down_proj", True),
        ("*.down_proj", True),
        ("model.layers.[0-3].mlp.*_proj", True),
        ("own_proj", False),
        ("layers.1", False),
        ("model.layers.?.mlp", False),
        ("*.Down_proj", False),
    ],
)
def test_a_pattern_matches_a_whole_name_or_all_from_a_dot_on(
    pattern: str, found: bool
) -> None:
    assert matches(pattern, DOWN) is found


def test_a_pattern_that_matches_none_is_told_with_what_is_near() -> None:
    names = [f"model.layers.{n}.mlp.{part}_proj" for n in range(2) for part in "ab"]
    found = dict(idle(["*.a_proj", "c_proj", "x"], names))
    every = "'model.layers.*.mlp.a_proj', 'model.layers.*.mlp.b_proj'"
    assert found == {"c_proj": "'b_proj', 'a_proj'", "x": every}
