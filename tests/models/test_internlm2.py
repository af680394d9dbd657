"""InternLM2: its config, and its logits against numpy."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

from mlcx.architectures.internlm2 import Config
from mlcx.errors import InputError
from mlcx.quant.scheme import scheme

from .conftest import (
    LARGEST,
    QUANTIZED,
    WIDE_TEXT,
    Build,
    Compute,
    Record,
    greedy,
    random_weights,
    stand_for,
    tiny,
    traced,
)
from .reference import Array, Weights, attention, layer, linear, rms_norm, silu

CONFIG = tiny("internlm2")
KINDS = {
    "as published": CONFIG,
    "biased": tiny("internlm2", bias=True, hidden_size=160, num_key_value_heads=4),
    "one key": tiny(
        "internlm2", num_key_value_heads=1, num_attention_heads=3, rope_scaling=None
    ),
}


def shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    heads, keys = config["num_attention_heads"], config["num_key_value_heads"]
    attention = {
        "attention.wqkv": ((heads + 2 * keys) * (hidden // heads), hidden),
        "attention.wo": (hidden, hidden),
    }
    others = {
        "feed_forward.w1": (inner, hidden),
        "feed_forward.w3": (inner, hidden),
        "feed_forward.w2": (hidden, inner),
        "attention_norm": (hidden,),
        "ffn_norm": (hidden,),
    }
    found: dict[str, tuple[int, ...]] = {
        "model.tok_embeddings.weight": (config["vocab_size"], hidden),
        "model.norm.weight": (hidden,),
        "output.weight": (config["vocab_size"], hidden),
    }
    for n in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{n}."
        for name, shape in (attention | others).items():
            found[f"{prefix}{name}.weight"] = shape
        if config["bias"]:
            found |= {f"{prefix}{k}.bias": v[:1] for k, v in attention.items()}
    return found


def logits(config: dict[str, Any], weights: Weights, tokens: list[int]) -> Array:
    heads, keys = config["num_attention_heads"], config["num_key_value_heads"]
    width, epsilon = config["hidden_size"] // heads, config["rms_norm_eps"]
    x = weights["model.tok_embeddings.weight"][tokens].astype(np.float64)
    for n in range(config["num_hidden_layers"]):
        w = layer(weights, f"model.layers.{n}.")
        h = rms_norm(x, w["attention_norm.weight"], epsilon)
        # Of each key's group: its queries, then the key, then the value.
        groups = linear(h, w, "attention.wqkv").reshape(len(x), keys, -1, width)
        q, k, v = groups[:, :, :-2], groups[:, :, -2], groups[:, :, -1]
        mixed = attention(q, k, v, width=width, theta=config["rope_theta"])
        x = x + linear(mixed, w, "attention.wo")
        h = rms_norm(x, w["ffn_norm.weight"], epsilon)
        gate, up = (linear(h, w, f"feed_forward.{name}") for name in ("w1", "w3"))
        x = x + linear(silu(gate) * up, w, "feed_forward.w2")
    return linear(rms_norm(x, weights["model.norm.weight"], epsilon), weights, "output")


def every_kind() -> Iterator[Any]:
    """Return all; only the first is not slow."""
    for number, (name, config) in enumerate(KINDS.items()):
        marks = (pytest.mark.slow,) if number else ()
        yield pytest.param(config, id=name, marks=marks)


@pytest.mark.parametrize("config", list(every_kind()))
@pytest.mark.parametrize("prefill", [1, 24, 60])
def test_logits_are_those_of_numpy(
    config: dict[str, Any], prefill: int, compute: Compute, record: Record
) -> None:
    tensors = shapes(config)
    found = compute(config, tensors, WIDE_TEXT, prefill)
    expected = logits(config, random_weights(tensors), WIDE_TEXT)
    record("internlm2", "q0f32", "logits", abs(found - expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_a_text_goes_on_as_in_numpy(build: Build) -> None:
    tensors = shapes(CONFIG)
    folder = build(CONFIG, tensors, "q0f32")
    found = traced(folder, WIDE_TEXT[:20], "greedy.npz", "--greedy", "16")["greedy"]
    expected = partial(logits, CONFIG, random_weights(tensors))
    assert found.tolist() == greedy(expected, WIDE_TEXT[:20])


@pytest.mark.slow
@pytest.mark.parametrize("quantization", QUANTIZED)
def test_quantized_logits_are_those_of_the_dequantized_weights(
    quantization: str, build: Build, record: Record
) -> None:
    tensors = shapes(CONFIG)
    folder = build(CONFIG, tensors, quantization)
    expected = partial(logits, CONFIG, stand_for(random_weights(tensors), quantization))
    for prefill in ("1", "60"):
        found = traced(folder, WIDE_TEXT, "logits.npz", "--prefill", prefill)["logits"]
        difference = abs(found - expected(WIDE_TEXT)).max()
        record("internlm2", quantization, "logits", difference)
        assert difference < LARGEST[scheme(quantization).model_dtype]
    if quantization == "q4f16_1":
        prompt = WIDE_TEXT[3:11]  # Each likeliest token leads by 0.05 here.
        found = traced(folder, prompt, "greedy.npz", "--greedy", "16")["greedy"]
        assert found.tolist() == greedy(expected, prompt)


def test_the_config_has_the_fields_of_the_format() -> None:
    config = Config.from_hf(CONFIG).to_dict()
    assert " ".join(config) == (
        "vocab_size hidden_size num_hidden_layers num_attention_heads "
        "num_key_value_heads rms_norm_eps intermediate_size bias use_cache rope_theta "
        "pad_token_id bos_token_id eos_token_id context_window_size "
        "prefill_chunk_size tensor_parallel_shards max_batch_size head_dim"
    )
    ids = ("pad_token_id", "bos_token_id", "eos_token_id", "head_dim")
    assert [config[key] for key in ids] == [2, 1, 2, 48]


def test_a_chunk_has_2048_tokens_unless_more_are_asked_for() -> None:
    long = CONFIG | {"max_position_embeddings": 9000}
    assert Config.from_hf(long).prefill_chunk_size == 2048


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tie_word_embeddings": True}, "internlm2 has a head of its own here"),
        ({"hidden_act": "gelu"}, "'hidden_act': expected 'silu', found 'gelu'"),
        ({"rope_scaling": {"type": "linear"}}, "'linear', expected one of dynamic"),
        (
            {"context_window_size": 9000, "rope_scaling": {"type": "dynamic"}}
            | {"max_position_embeddings": 8192},
            "context of 9000 tokens: expected at most max_position_embeddings, 8192",
        ),
        ({"bias": 1}, "'bias': expected true or false, found 1"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
