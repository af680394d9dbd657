"""OLMo 2: its config, and its logits against numpy."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from mlcx.errors import InputError
from mlcx.models.olmo2 import Config

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
from .reference import Array, Weights, attention, layer, linear, rms_norm, silu

CONFIG = tiny("olmo2")
KINDS = {
    "7B": CONFIG,
    "32B": tiny("olmo2", num_attention_heads=4, num_key_value_heads=2, hidden_size=192),
    "tied": tiny("olmo2", tie_word_embeddings=True, hidden_size=96),
}


def shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    similar = llama_like.shapes(config, head=not config["tie_word_embeddings"])
    for name, shape in similar.items():
        found[name.replace("input_layernorm", "post_feedforward_layernorm")] = shape
    for n in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{n}.self_attn."
        for part in "qk":
            rows = found[f"{prefix}{part}_proj.weight"][:1]
            found[f"{prefix}{part}_norm.weight"] = rows
    return found


def logits(config: dict[str, Any], weights: Weights, tokens: list[int]) -> Array:
    width = config["hidden_size"] // config["num_attention_heads"]

    def norm(x: Array, w: Weights, name: str) -> Array:
        return rms_norm(x, w[f"{name}.weight"], config["rms_norm_eps"])

    table = weights["model.embed_tokens.weight"]
    x = table[tokens].astype(np.float64)
    for n in range(config["num_hidden_layers"]):
        w = layer(weights, f"model.layers.{n}.")
        q, k, v = (linear(x, w, f"self_attn.{part}_proj") for part in "qkv")
        q, k = norm(q, w, "self_attn.q_norm"), norm(k, w, "self_attn.k_norm")
        mixed = attention(q, k, v, width=width, theta=config["rope_theta"])
        mixed = linear(mixed, w, "self_attn.o_proj")
        x = x + norm(mixed, w, "post_attention_layernorm")
        gate, up = linear(x, w, "mlp.gate_proj"), linear(x, w, "mlp.up_proj")
        inner = linear(silu(gate) * up, w, "mlp.down_proj")
        x = x + norm(inner, w, "post_feedforward_layernorm")
    return norm(x, weights, "model.norm") @ weights.get("lm_head.weight", table).T


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
    prompt = WIDE_TEXT[3:17]  # Each likeliest token leads by 0.04 here.
    found = continued(CONFIG, tensors, prompt, "q4f16_1")
    expected = partial(logits, CONFIG, packed_weights(tensors, "q4f16_1"))
    np.testing.assert_allclose(found["logits"], expected(prompt), rtol=0, atol=0.02)
    assert found["greedy"].tolist() == greedy(expected, prompt)


def test_the_config_has_the_fields_of_the_format() -> None:
    config = Config.from_hf(CONFIG).to_dict()
    assert " ".join(config) == (
        "vocab_size hidden_size num_attention_heads num_key_value_heads head_dim "
        "position_embedding_base rope_scaling intermediate_size hidden_act "
        "num_hidden_layers rms_norm_eps tie_word_embeddings context_window_size "
        "prefill_chunk_size tensor_parallel_shards pipeline_parallel_stages "
        "max_batch_size"
    )
    assert (config["head_dim"], config["position_embedding_base"]) == (80, 500000.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention_bias": True}, "olmo2 has no bias here"),
        ({"hidden_act": "gelu"}, "'hidden_act': expected 'silu', found 'gelu'"),
        ({"rope_scaling": {"type": "yarn"}}, "'yarn', expected none"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
