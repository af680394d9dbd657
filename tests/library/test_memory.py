"""What a model takes on its device, from what its library says."""

from __future__ import annotations

from typing import Any

import pytest
from described import metadata, stamp

from mlcx.library.contents import Model
from mlcx.library.memory import Memory, memory_of
from mlcx.stamp import Description

CACHE = {"num_hidden_layers": 3, "num_key_value_heads": 2, "head_dim": 8}
TOKEN = 2 * 3 * 2 * 8
"""Numbers of one token: a key and a value of each head in each layer."""


def model(recipe: dict[str, Any] | None = None, **changes: Any) -> Model:
    made = None if recipe is None else stamp(recipe=recipe)
    says = metadata(made, **{"kv_cache": CACHE, **changes})
    return Model(Description(says), None, ())


def test_weights_a_whole_context_and_the_greediest_function_count() -> None:
    found = memory_of(model())
    assert found == Memory(3 * 4 * 2, 64 * TOKEN * 2, 64, 2048)
    assert found.total == 24 + 12288 + 2048
    assert str(found) == (
        "24 bytes of weights, 12288 for a cache of 64 tokens and 2048 of temporaries"
    )


@pytest.mark.parametrize(
    ("scheme", "bytes_each"),
    [("q4f32_1", 4), ("q0bf16", 2), ("e4m3_e4m3_f16", 2), ("q4f16_awq", 2)],
)
def test_the_cache_has_the_type_of_the_scheme(scheme: str, bytes_each: int) -> None:
    found = memory_of(model(quantization=scheme))
    assert found is not None
    assert found.cache == 64 * TOKEN * bytes_each


def test_a_mixed_scheme_has_the_type_of_its_base() -> None:
    recipe = {"base": "q4f32_1", "layers": {}}
    found = memory_of(model(recipe, quantization="mine-f16"))
    assert found is not None
    assert found.cache == 64 * TOKEN * 4


def test_a_window_bounds_the_cache_which_has_whole_pages() -> None:
    found = memory_of(model(sliding_window_size=70, context_window_size=-1))
    assert found is not None
    assert found.tokens == 112  # 70 and a chunk of 32, in pages of 16


def test_a_state_of_fixed_size_is_that_of_one_sequence() -> None:
    tensors = [
        {"shape": [8], "dtype": "float16"},
        {"shape": [2, 4, 4], "dtype": "float32"},
    ]
    state = {"num_hidden_layers": 3, "states": tensors}
    says = {"kv_state_kind": "rnn_state", "kv_cache": None, "rnn_state": state}
    found = memory_of(model(**says))
    assert found == Memory(24, 0, 0, 2048, 3 * (16 + 128))
    assert found.total == 24 + 2048 + 432
    said = "24 bytes of weights, 432 for a state and 2048 of temporaries"
    assert str(found) == said


@pytest.mark.parametrize("state", [None, {}, {"num_hidden_layers": 2}, "small"])
def test_a_state_that_is_not_described_is_not_counted(state: object) -> None:
    says = {"kv_state_kind": "rnn_state", "kv_cache": None, "rnn_state": state}
    found = memory_of(model(**says))
    assert found == Memory(24, 0, 0, 2048)
    assert str(found) == "24 bytes of weights and 2048 of temporaries"


@pytest.mark.parametrize(
    "changes",
    [
        {"kv_cache": None},
        {"kv_cache": {**CACHE, "head_dim": "wide"}},
        {"memory_usage": None},
        {"context_window_size": -1},
        {"quantization": "mine"},
        {"params": [{"name": "w", "shape": ["vocab_size", 4], "dtype": "float16"}]},
    ],
)
def test_what_a_library_leaves_open_is_not_guessed(changes: dict[str, Any]) -> None:
    assert memory_of(model(**changes)) is None
