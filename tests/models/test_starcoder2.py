"""StarCoder 2: its config, and its logits against numpy, beyond the window too."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from mlcx.errors import InputError
from mlcx.models.starcoder2 import Config

from .conftest import (
    WIDE_TEXT,
    Compute,
    Continue,
    greedy,
    packed_weights,
    random_weights,
    tiny,
)
from .reference import Array, Weights, attention, gelu_tanh, layer, layer_norm, linear

CONFIG = tiny("starcoder2")
KINDS = {
    "3B": CONFIG,
    "a window": tiny(
        "starcoder2", sliding_window=20, hidden_size=192, num_attention_heads=4
    ),
    "untied, no bias": tiny("starcoder2", use_bias=False, tie_word_embeddings=False),
}


def shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    keys = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    linears = {
        "self_attn.q_proj": (hidden, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, hidden),
        "mlp.c_fc": (inner, hidden),
        "mlp.c_proj": (hidden, inner),
    }
    norms = ["model.norm"]
    table = (config["vocab_size"], hidden)
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": table}
    if not config.get("tie_word_embeddings", True):
        found["lm_head.weight"] = table
    for n in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{n}."
        norms += [f"{prefix}{k}_layernorm" for k in ("input", "post_attention")]
        for name, shape in linears.items():
            found[f"{prefix}{name}.weight"] = shape
            if config["use_bias"]:
                found[f"{prefix}{name}.bias"] = shape[:1]
    both = (f"{name}.{kind}" for name in norms for kind in ("weight", "bias"))
    return found | dict.fromkeys(both, (hidden,))


def logits(config: dict[str, Any], weights: Weights, tokens: list[int]) -> Array:
    shape = {
        "width": config["hidden_size"] // config["num_attention_heads"],
        "theta": config["rope_theta"],
        "window": config["sliding_window"],
    }

    def norm(x: Array, w: Weights, name: str) -> Array:
        both = (w[f"{name}.{kind}"] for kind in ("weight", "bias"))
        return layer_norm(x, *both, config["norm_epsilon"])

    table = weights["model.embed_tokens.weight"]
    x = table[tokens].astype(np.float64)
    for n in range(config["num_hidden_layers"]):
        w = layer(weights, f"model.layers.{n}.")
        h = norm(x, w, "input_layernorm")
        mixed = attention(
            *(linear(h, w, f"self_attn.{p}_proj") for p in "qkv"), **shape
        )
        x = x + linear(mixed, w, "self_attn.o_proj")
        h = norm(x, w, "post_attention_layernorm")
        x = x + linear(gelu_tanh(linear(h, w, "mlp.c_fc")), w, "mlp.c_proj")
    return norm(x, weights, "model.norm") @ weights.get("lm_head.weight", table).T


@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("prefill", [1, 20, 60])
def test_logits_are_those_of_numpy(
    config: dict[str, Any], prefill: int, compute: Compute
) -> None:
    tensors = shapes(config)
    found = compute(config, tensors, WIDE_TEXT, prefill)
    expected = logits(config, random_weights(tensors), WIDE_TEXT)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_in_4_bits_a_text_goes_on_as_numpy_says(continued: Continue) -> None:
    tensors = shapes(CONFIG)
    prompt = WIDE_TEXT[:8]  # Each likeliest token leads by 0.5 here.
    found = continued(CONFIG, tensors, prompt, "q4f16_1")
    expected = partial(logits, CONFIG, packed_weights(tensors, "q4f16_1"))
    np.testing.assert_allclose(found["logits"], expected(prompt), rtol=0, atol=0.02)
    assert found["greedy"].tolist() == greedy(expected, prompt)


def test_the_config_has_the_fields_of_the_format() -> None:
    config = Config.from_hf(CONFIG).to_dict()
    assert " ".join(config) == (
        "vocab_size hidden_size num_hidden_layers num_attention_heads "
        "num_key_value_heads hidden_act norm_epsilon intermediate_size rope_theta "
        "use_bias use_cache bos_token_id eos_token_id context_window_size "
        "prefill_chunk_size tensor_parallel_shards max_batch_size head_dim "
        "sliding_window_size attention_sink_size tie_word_embeddings"
    )
    assert (config["head_dim"], config["tie_word_embeddings"]) == (80, True)


@pytest.mark.parametrize(
    ("window", "sizes"), [(None, (128, -1, 128)), (20, (-1, 20, 20))]
)
def test_a_window_takes_the_limit_from_the_context(
    window: int | None, sizes: tuple[int, ...]
) -> None:
    config = Config.from_hf(CONFIG | {"sliding_window": window})
    assert sizes == (
        config.context_window_size,
        config.sliding_window_size,
        config.prefill_chunk_size,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": "gelu"}, "expected 'gelu_pytorch_tanh', found 'gelu'"),
        ({"rope_scaling": {"type": "linear"}}, "'linear', expected none"),
        ({"sliding_window": 4, "attention_sink_size": 4}, "must be less than sliding_"),
        ({"use_bias": "no"}, "'use_bias': expected true or false, found 'no'"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
