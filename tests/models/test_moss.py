"""MOSS and CodeGen: the config; logits of CodeGen are compared elsewhere."""

import pytest

from mlcx.architectures import architecture
from mlcx.architectures.moss import Config, weights
from mlcx.errors import InputError

from .conftest import tiny

CONFIG = tiny("moss")


def test_moss_is_codegen() -> None:
    assert architecture("moss") is architecture("codegen")


def test_queries_values_and_keys_of_four_devices_are_put_in_order() -> None:
    (recipe,) = weights(Config.from_hf(CONFIG)).values()
    assert (recipe.groups, recipe.parts, recipe.order) == (4, (1, 1, 1), (0, 2, 1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_head": 2}, "config of moss: n_head must be a multiple of 4"),
        ({"rotary_dim": 3}, "config of moss: 'rotary_dim' is 3: expected an even"),
        ({"tie_word_embeddings": True}, "moss has a head of its own"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
