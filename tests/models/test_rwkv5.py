"""RWKV 5: its config, and in numpy what it has of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlcx.architectures.rwkv5 import Config
from mlcx.errors import InputError

from .conftest import tiny
from .reference import Array, Weights
from .rwkv_like import Inputs, Shapes, Version

CONFIG = tiny("rwkv5")
CASES = {
    "heads of 12, halved now and then": CONFIG,
    "one head, never halved, narrow inside": tiny(
        "rwkv5",
        hidden_size=40,
        head_size=40,
        intermediate_size=50,
        rescale_every=0,
        vocab_size=259,
    ),
    "another norm of heads, halved each time": tiny(
        "rwkv5", hidden_size=64, head_size=16, rescale_every=1, head_size_divisor=1
    ),
}


def as_trained(name: str, weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Let decays be as slow as checkpoints have them: bfloat16 is too coarse for it."""
    return weight - 5 if name.endswith("time_decay") else weight


def attention(config: Mapping[str, Any]) -> Shapes:
    h, n = config["hidden_size"], config["head_size"]
    names = ("receptance", "key", "value", "gate")
    mixed = {f"time_mix_{name}": (1, 1, h) for name in names}
    return {**mixed, "time_decay": (h // n, n)}


def inputs(x: Array, before: Array, w: Weights) -> Inputs:
    def mixed(name: str) -> Array:
        share = w[f"time_mix_{name}"][0]
        return x * share + before * (1 - share)

    kept = np.exp(-np.exp(w["time_decay"].astype(np.float64))).reshape(1, -1)
    return Inputs(
        *map(mixed, ("receptance", "key", "value", "gate")), kept.repeat(len(x), 0)
    )


VERSION = Version(
    attention, ("time_mix_key", "time_mix_receptance"), inputs, lambda share: share
)


def test_the_config_has_the_fields_of_the_format() -> None:
    config = Config.from_hf(CONFIG).to_dict()
    assert (
        list(config)
        == (
            "hidden_size intermediate_size num_hidden_layers vocab_size model_version "
            "tensor_parallel_shards rescale_every head_size layer_norm_epsilon "
            "context_window_size prefill_chunk_size num_heads max_batch_size "
            "head_size_divisor"
        ).split()
    )
    assert (config["model_version"], config["num_heads"]) == ("5_2", 4)


@pytest.mark.parametrize(
    ("hidden", "inner", "expected"), [(2560, None, 8960), (48, None, 160), (48, 92, 92)]
)
def test_feed_forward_layers_are_a_multiple_of_32_wide_unless_said(
    hidden: int, inner: int | None, expected: int
) -> None:
    changes = {"hidden_size": hidden, "head_size": 16, "intermediate_size": inner}
    assert Config.from_hf(CONFIG | changes).intermediate_size == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_version": "5_0"}, "'model_version': expected '5_2', found '5_0'"),
        ({"head_size": 10}, "hidden_size must be a multiple of head_size"),
        ({"attention_hidden_size": 96}, "attention_hidden_size must be hidden_size"),
        ({"tie_word_embeddings": True}, "rwkv5 has a head of its own"),
        ({"rescale_every": -1}, "'rescale_every': expected a whole number from 0"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
