"""Phi: its config, and its logits against numpy."""

from typing import Any

import numpy as np
import pytest

from mlcx.errors import InputError
from mlcx.models.phi import Config

from .conftest import TEXT, Compute, random_weights, tiny
from .reference import Array, attention, gelu_tanh, layer, layer_norm, linear

CONFIG = tiny("phi")
HIDDEN, INNER = CONFIG["hidden_size"], CONFIG["intermediate_size"]
WIDTH = HIDDEN // CONFIG["num_attention_heads"]


def shapes() -> dict[str, tuple[int, ...]]:
    table, keys = (CONFIG["vocab_size"], HIDDEN), (WIDTH, HIDDEN)
    linears: dict[str, tuple[int, ...]] = {
        "self_attn.q_proj": (HIDDEN, HIDDEN),
        "self_attn.k_proj": keys,
        "self_attn.v_proj": keys,
        "self_attn.dense": (HIDDEN, HIDDEN),
        "mlp.fc1": (INNER, HIDDEN),
        "mlp.fc2": (HIDDEN, INNER),
        "input_layernorm": (HIDDEN,),
    }
    named = {"lm_head": table, "model.final_layernorm": (HIDDEN,)}
    for n in range(CONFIG["num_hidden_layers"]):
        named |= {f"model.layers.{n}.{name}": linears[name] for name in linears}
    found = {f"{name}.weight": shape for name, shape in named.items()}
    found |= {f"{name}.bias": shape[:1] for name, shape in named.items()}
    return found | {"model.embed_tokens.weight": table}


SHAPES = shapes()


def logits(tokens: list[int]) -> Array:
    weights = random_weights(SHAPES)

    def norm(x: Array, w: Any, name: str) -> Array:
        both = (w[f"{name}.{kind}"] for kind in ("weight", "bias"))
        return layer_norm(x, *both, CONFIG["layer_norm_eps"])

    x = weights["model.embed_tokens.weight"][tokens].astype(np.float64)
    for n in range(CONFIG["num_hidden_layers"]):
        w = layer(weights, f"model.layers.{n}.")
        h = norm(x, w, "input_layernorm")
        qkv = (linear(h, w, f"self_attn.{part}_proj") for part in "qkv")
        mixed = attention(*qkv, width=WIDTH, theta=CONFIG["rope_theta"], dims=8)
        inner = gelu_tanh(linear(h, w, "mlp.fc1"))
        x = x + linear(mixed, w, "self_attn.dense") + linear(inner, w, "mlp.fc2")
    return linear(norm(x, weights, "model.final_layernorm"), weights, "lm_head")


@pytest.mark.parametrize("prefill", [1, 60])
def test_logits_are_those_of_numpy(prefill: int, compute: Compute) -> None:
    found = compute(CONFIG, SHAPES, TEXT, prefill)
    np.testing.assert_allclose(found, logits(TEXT), rtol=0, atol=1e-4)


def test_the_config_has_the_fields_of_the_format() -> None:
    config = Config.from_hf(CONFIG | {"intermediate_size": None}).to_dict()
    assert " ".join(config) == (
        "vocab_size hidden_size intermediate_size num_hidden_layers "
        "num_attention_heads layer_norm_eps position_embedding_base "
        "partial_rotary_factor num_key_value_heads context_window_size "
        "prefill_chunk_size head_dim tensor_parallel_shards max_batch_size"
    )
    assert (config["intermediate_size"], config["head_dim"]) == (240, 20)


def test_half_of_a_head_is_rotated_unless_said() -> None:
    fields = {key: CONFIG[key] for key in CONFIG if key != "partial_rotary_factor"}
    assert Config.from_hf(fields).partial_rotary_factor == 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": "silu"}, "'hidden_act': expected 'gelu_new' or"),
        ({"qk_layernorm": True}, "phi norms no queries or keys here"),
        ({"partial_rotary_factor": 0.25}, "rotates 5 of 20 dimensions"),
        ({"num_key_value_heads": 2}, "must be a multiple of num_key_value_heads"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
