"""Mistral: its config, and the first tokens that its window keeps, against numpy."""

import json
from pathlib import Path

import numpy as np
import pytest

from mlcx.architectures.mistral import Config
from mlcx.compiler.compile_config import CompileConfig
from mlcx.errors import InputError, UsageError

from . import llama_like
from .conftest import TEXT, TINY, Compute, random_weights, tiny
from .reference import Array, attention

CONFIG = tiny("mistral")
SHAPES = llama_like.shapes(CONFIG)
WINDOW, SINK = CONFIG["sliding_window"], 3


def attention_with_sink(q: Array, k: Array, v: Array, **shape: float) -> Array:
    """Attend to SINK first tokens and to the last ones, WINDOW in all.

    Positions are those of a cache that keeps WINDOW tokens, without gaps, when the
    next one comes (Xiao et al., arXiv:2309.17453).
    """
    rows = []
    for n in range(len(q)):
        some, seen = np.arange(n + 1), np.ones(n + 1, bool)
        if n >= WINDOW:
            some = np.r_[:SINK, n - WINDOW + SINK : n + 1]
            seen = np.ones(WINDOW + 1, bool)
            # The oldest but the sink is in the cache yet, and no longer in sight.
            seen[SINK] = False
        rows.append(attention(q[some], k[some], v[some], seen=seen, **shape)[-1])
    return np.array(rows)


@pytest.mark.parametrize("prefill", [1, WINDOW])
def test_the_first_tokens_stay_in_sight(prefill: int, compute: Compute) -> None:
    config = tiny("mistral", attention_sink_size=SINK)
    found = compute(config, SHAPES, TEXT, prefill)
    weights = random_weights(SHAPES)
    expected = llama_like.logits(config, weights, TEXT, attend=attention_with_sink)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_the_config_has_the_fields_of_the_format() -> None:
    config = Config.from_hf(tiny("mistral")).to_dict()
    assert " ".join(config) == (
        "hidden_size intermediate_size num_attention_heads num_hidden_layers "
        "rms_norm_eps vocab_size position_embedding_base num_key_value_heads "
        "head_dim context_window_size sliding_window_size prefill_chunk_size "
        "attention_sink_size tensor_parallel_shards max_batch_size"
    )


@pytest.mark.parametrize(
    ("changes", "sizes"),
    [
        ({}, (-1, 20, 20, 4)),
        ({"prefill_chunk_size": 21}, (-1, 20, 20, 4)),
        ({"prefill_chunk_size": 7, "attention_sink_size": 0}, (-1, 20, 7, 0)),
        ({"sliding_window": None}, (128, -1, 128, 4)),
        ({"sliding_window_size": 9}, (-1, 9, 9, 4)),
        ({"sliding_window_size": -1, "context_window_size": 50}, (50, -1, 50, 4)),
    ],
)
def test_a_window_takes_the_limit_from_the_context(
    changes: dict, sizes: tuple[int, ...]
) -> None:
    config = Config.from_hf(tiny("mistral", **changes))
    assert sizes == (
        config.context_window_size,
        config.sliding_window_size,
        config.prefill_chunk_size,
        config.attention_sink_size,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sliding_window": 4}, "attention_sink_size must be less than sliding_"),
        ({"attention_sink_size": -2}, "expected a whole number from 0 to"),
        ({"sliding_window": "20"}, "'sliding_window': expected a whole number from 1"),
        ({"rope_scaling": {"type": "yarn"}}, "'yarn', expected none"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(tiny("mistral", **changes))


def test_a_context_cannot_be_given_to_what_slides() -> None:
    model: Path = TINY / "mistral.json"
    with pytest.raises(
        UsageError, match="'context_window_size': 64 cannot be: mistral"
    ):
        CompileConfig.load(
            model, quantization="q0f16", overrides={"context_window_size": 64}
        )


@pytest.mark.parametrize(
    ("changes", "context"), [({}, 128), ({"context_window_size": 64}, 64)]
)
def test_a_window_that_is_overridden_by_none_is_as_if_the_model_had_none(
    tmp_path: Path, changes: dict[str, int], context: int
) -> None:
    model, plain = TINY / "mistral.json", tmp_path / "config.json"
    plain.write_text(json.dumps(tiny("mistral", sliding_window=None, **changes)))
    without = {"sliding_window_size": -1} | changes
    found = CompileConfig.load(model, quantization="q0f16", overrides=without)
    assert found == CompileConfig.load(plain, quantization="q0f16")
    assert found.model_config["sliding_window_size"] == -1
    assert found.model_config["context_window_size"] == context
