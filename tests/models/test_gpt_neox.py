"""GPT-NeoX: its config, and its logits against numpy."""

from typing import Any

import numpy as np
import pytest

from mlcx.errors import InputError
from mlcx.models.gpt_neox import Config

from .conftest import TEXT, Compute, random_weights, tiny
from .reference import Array, attention, gelu, layer, layer_norm, linear

CONFIG = tiny("gpt_neox")
HIDDEN, HEADS = CONFIG["hidden_size"], CONFIG["num_attention_heads"]
INNER, WIDTH = CONFIG["intermediate_size"], HIDDEN // HEADS


def shapes() -> dict[str, tuple[int, ...]]:
    table = (CONFIG["vocab_size"], HIDDEN)
    linears = {
        "attention.query_key_value": (3 * HIDDEN, HIDDEN),
        "attention.dense": (HIDDEN, HIDDEN),
        "mlp.dense_h_to_4h": (INNER, HIDDEN),
        "mlp.dense_4h_to_h": (HIDDEN, INNER),
    }
    norms = ("input_layernorm", "post_attention_layernorm")
    found: dict[str, tuple[int, ...]] = {
        "gpt_neox.embed_in.weight": table,
        "embed_out.weight": table,
    }
    for n in range(CONFIG["num_hidden_layers"]):
        for name, shape in (linears | dict.fromkeys(norms, (HIDDEN,))).items():
            found[f"gpt_neox.layers.{n}.{name}.weight"] = shape
            found[f"gpt_neox.layers.{n}.{name}.bias"] = shape[:1]
    return found | {f"gpt_neox.final_layer_norm.{k}": (HIDDEN,) for k in KINDS}


KINDS = ("weight", "bias")
SHAPES = shapes()


def logits(tokens: list[int], parallel: bool) -> Array:
    weights = random_weights(SHAPES)

    def norm(x: Array, w: Any, name: str) -> Array:
        both = (w[f"{name}.{kind}"] for kind in KINDS)
        return layer_norm(x, *both, CONFIG["layer_norm_eps"])

    x = weights["gpt_neox.embed_in.weight"][tokens].astype(np.float64)
    for n in range(CONFIG["num_hidden_layers"]):
        w = layer(weights, f"gpt_neox.layers.{n}.")
        qkv = linear(norm(x, w, "input_layernorm"), w, "attention.query_key_value")
        q, k, v = qkv.reshape(len(x), HEADS, 3, WIDTH).transpose(2, 0, 1, 3)
        theta = CONFIG["rotary_emb_base"]
        mixed = attention(q, k, v, width=WIDTH, theta=theta, dims=WIDTH // 2)
        mixed = linear(mixed, w, "attention.dense")
        h = norm(x if parallel else x + mixed, w, "post_attention_layernorm")
        inner = gelu(linear(h, w, "mlp.dense_h_to_4h"))
        x = x + mixed + linear(inner, w, "mlp.dense_4h_to_h")
    return norm(x, weights, "gpt_neox.final_layer_norm") @ weights["embed_out.weight"].T


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("prefill", [1, 60])
def test_logits_are_those_of_numpy(
    prefill: int, parallel: bool, compute: Compute
) -> None:
    config = tiny("gpt_neox", use_parallel_residual=parallel)
    found = compute(config, SHAPES, TEXT, prefill)
    np.testing.assert_allclose(found, logits(TEXT, parallel), rtol=0, atol=1e-4)


def test_the_config_has_the_fields_of_the_format() -> None:
    config = Config.from_hf(CONFIG).to_dict()
    assert " ".join(config) == (
        "use_parallel_residual hidden_size intermediate_size num_attention_heads "
        "num_hidden_layers layer_norm_eps vocab_size rotary_pct "
        "position_embedding_base context_window_size head_dim prefill_chunk_size "
        "tensor_parallel_shards ffn_out_dtype max_batch_size"
    )
    assert (config["position_embedding_base"], config["head_dim"]) == (5000, 20)


def test_the_newest_spelling_of_the_rotation_is_read() -> None:
    newest = {"rope_theta": 7.0, "partial_rotary_factor": 0.3, "rope_type": "default"}
    config = Config.from_hf(CONFIG | {"rope_parameters": newest, "rotary_pct": None})
    assert (config.position_embedding_base, config.rotary_pct) == (7.0, 0.3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": "relu"}, "'hidden_act': expected 'gelu' or 'gelu_fast' or"),
        ({"attention_bias": False}, "gpt_neox has biases here"),
        ({"rotary_pct": 1.5}, "rotates 30 of 20 dimensions"),
        ({"rotary_pct": None}, "'rotary_pct': expected a number greater than 0"),
        ({"rotary_pct": 0.05}, "rotates 1 of 20 dimensions"),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, "'linear', expected none"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
