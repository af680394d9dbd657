"""StableLM: its config, and its logits against numpy."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from mlcx.errors import InputError
from mlcx.models.stablelm import Config

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
from .reference import Array, Weights, attention

CONFIG = tiny("stablelm")
KINDS = {
    "3B": CONFIG,
    "2": tiny("stablelm", use_qkv_bias=True),
    "half rotated": tiny(
        "stablelm", partial_rotary_factor=0.5, hidden_size=144, num_attention_heads=3
    ),
}


def shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    found = llama_like.shapes(config, bias=config["use_qkv_bias"])
    norms = [name for name in found if name.endswith("norm.weight")]
    for name in norms:
        found[name.replace("weight", "bias")] = found[name]
    return found


def logits(config: dict[str, Any], weights: Weights, tokens: list[int]) -> Array:
    width = config["hidden_size"] // config["num_attention_heads"]
    dims = int(width * config["partial_rotary_factor"])
    attend = partial(attention, dims=dims)
    return llama_like.logits(config, weights, tokens, attend=attend)


@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("prefill", [1, 24, 60])
def test_logits_are_those_of_numpy(
    config: dict[str, Any], prefill: int, compute: Compute
) -> None:
    tensors = shapes(config)
    found = compute(config, tensors, WIDE_TEXT, prefill)
    expected = logits(config, random_weights(tensors), WIDE_TEXT)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_in_4_bits_a_text_goes_on_as_numpy_says(continued: Continue) -> None:
    tensors = shapes(CONFIG)
    prompt = WIDE_TEXT[36:47]  # Each likeliest token leads by 0.04 here.
    found = continued(CONFIG, tensors, prompt, "q4f16_1")
    expected = partial(logits, CONFIG, packed_weights(tensors, "q4f16_1"))
    np.testing.assert_allclose(found["logits"], expected(prompt), rtol=0, atol=0.02)
    assert found["greedy"].tolist() == greedy(expected, prompt)


def test_the_config_has_the_fields_of_the_format() -> None:
    config = Config.from_hf(CONFIG).to_dict()
    assert " ".join(config) == (
        "vocab_size hidden_size num_hidden_layers num_attention_heads "
        "num_key_value_heads layer_norm_eps partial_rotary_factor rope_theta "
        "intermediate_size use_qkv_bias head_dim context_window_size "
        "prefill_chunk_size tensor_parallel_shards max_batch_size"
    )
    assert (config["head_dim"], config["partial_rotary_factor"]) == (80, 0.25)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"qk_layernorm": True}, "stablelm normalizes no queries and keys here"),
        ({"use_parallel_residual": True}, "stablelm has its blocks in turn here"),
        ({"tie_word_embeddings": True}, "stablelm has a head of its own here"),
        ({"hidden_act": "gelu"}, "'hidden_act': expected 'silu', found 'gelu'"),
        ({"partial_rotary_factor": 0.3125}, "rotates 25 of 80 dimensions"),
        ({"rope_scaling": {"type": "linear"}}, "'linear', expected none"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
