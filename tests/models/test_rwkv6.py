"""RWKV 6: its config, and in numpy what it has of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlcx.architectures.rwkv6 import Config
from mlcx.errors import InputError

from .conftest import tiny
from .reference import Array, Weights
from .rwkv_like import Inputs, Shapes, Version

CONFIG = tiny("rwkv6")
CASES = {
    "heads of 12, halved now and then": CONFIG,
    "one head, never halved": tiny(
        "rwkv6", hidden_size=40, head_size=40, rescale_every=0, vocab_size=259
    ),
    "another norm of heads, halved each time": tiny(
        "rwkv6", hidden_size=64, head_size=16, rescale_every=1, head_size_divisor=1
    ),
}
MIXED = "wkvrg"


def as_trained(name: str, weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Let mixtures depend on the data as little as checkpoints have it."""
    return weight / 16 if name.endswith("time_maa_w2") else weight


def attention(config: Mapping[str, Any]) -> Shapes:
    h = config["hidden_size"]
    return {
        **{f"time_maa_{part}": (1, 1, h) for part in ("x", *MIXED)},
        "time_maa_w1": (h, 160),
        "time_maa_w2": (5, 32, h),
        "time_decay": (1, 1, h),
        "time_decay_w1": (h, 64),
        "time_decay_w2": (64, h),
    }


def inputs(x: Array, before: Array, w: Weights) -> Inputs:
    delta = before - x
    first = np.tanh((x + delta * w["time_maa_x"][0]) @ w["time_maa_w1"])
    learnt = np.einsum("tgm,gmh->gth", first.reshape(len(x), 5, -1), w["time_maa_w2"])
    mixed = {
        part: x + delta * (w[f"time_maa_{part}"][0] + own)
        for part, own in zip(MIXED, learnt, strict=True)
    }
    decay = np.tanh(mixed["w"] @ w["time_decay_w1"]) @ w["time_decay_w2"]
    kept = np.exp(-np.exp(decay + w["time_decay"][0]))
    return Inputs(*(mixed[part] for part in "rkvg"), kept)


VERSION = Version(
    attention, ("time_maa_k", "time_maa_r"), inputs, lambda learnt: 1 - learnt
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
    assert (config["intermediate_size"], config["num_heads"]) == (168, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_version": "5_2"}, "'model_version': expected '6_0', found '5_2'"),
        ({"head_size": 10}, "hidden_size must be a multiple of head_size"),
        ({"attention_hidden_size": 96}, "attention_hidden_size must be hidden_size"),
        ({"tie_word_embeddings": True}, "rwkv6 has a head of its own"),
        ({"rescale_every": -1}, "'rescale_every': expected a whole number from 0"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
