"""Qwen 3: its config, and its logits against numpy."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from mlcx.errors import InputError
from mlcx.models.qwen3 import Config

from . import llama_like
from .conftest import (
    WIDE_TEXT,
    Compute,
    Continue,
    greedy,
    packed_weights,
    random_weights,
    tiny,
)

CONFIG = tiny("qwen3")
KINDS = {
    "as published": CONFIG,
    "tied": tiny("qwen3", tie_word_embeddings=True, head_dim=80, hidden_size=44),
    "biased": tiny("qwen3", attention_bias=True, num_key_value_heads=1),
}


def shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    bias, head = config["attention_bias"], not config["tie_word_embeddings"]
    found = llama_like.shapes(config, bias=bias, head=head)
    for n in range(config["num_hidden_layers"]):
        attention = f"model.layers.{n}.self_attn."
        found |= {f"{attention}{k}_norm.weight": (config["head_dim"],) for k in "qk"}
        if bias:
            found[f"{attention}o_proj.bias"] = (config["hidden_size"],)
    return found


@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("prefill", [1, 24, 60])
def test_logits_are_those_of_numpy(
    config: dict[str, Any], prefill: int, compute: Compute
) -> None:
    tensors = shapes(config)
    found = compute(config, tensors, WIDE_TEXT, prefill)
    expected = llama_like.logits(config, random_weights(tensors), WIDE_TEXT)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_in_4_bits_a_text_goes_on_as_numpy_says(continued: Continue) -> None:
    tensors = shapes(CONFIG)
    prompt = WIDE_TEXT[:38]  # Each likeliest token leads by 0.1 here.
    found = continued(CONFIG, tensors, prompt, "q4f16_1")
    expected = partial(llama_like.logits, CONFIG, packed_weights(tensors, "q4f16_1"))
    np.testing.assert_allclose(found["logits"], expected(prompt), rtol=0, atol=0.02)
    assert found["greedy"].tolist() == greedy(expected, prompt)


def test_the_config_has_the_fields_of_the_format() -> None:
    config = Config.from_hf(CONFIG).to_dict()
    assert " ".join(config) == (
        "hidden_act hidden_size intermediate_size attention_bias num_attention_heads "
        "num_hidden_layers num_key_value_heads rms_norm_eps rope_theta vocab_size "
        "tie_word_embeddings context_window_size prefill_chunk_size "
        "tensor_parallel_shards head_dim dtype max_batch_size weight_block_size"
    )
    assert (config["head_dim"], config["weight_block_size"]) == (48, None)


def test_a_chunk_has_2048_tokens_unless_more_are_asked_for() -> None:
    long = CONFIG | {"max_position_embeddings": 9000}
    assert Config.from_hf(long).prefill_chunk_size == 2048
    asked = Config.from_hf(long | {"prefill_chunk_size": 4096})
    assert asked.prefill_chunk_size == 4096


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": "gelu"}, "'hidden_act': expected 'silu', found 'gelu'"),
        ({"use_sliding_window": True}, "qwen3 attends to all tokens here"),
        ({"rope_scaling": {"type": "yarn"}}, "'yarn', expected none"),
        ({"head_dim": None}, "'head_dim': expected a whole number"),
        ({"weight_block_size": [128, 128]}, "qwen3 is not read in fp8 here"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
