"""The sample checkpoint: small, whole, and of the shape that its config says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

REFERENCE = Path(__file__).parent / "reference.json"


@pytest.fixture
def config(sample: Path) -> dict:
    return json.loads((sample / "config.json").read_text())


@pytest.fixture
def tokenizer(sample: Path) -> Tokenizer:
    return Tokenizer.from_file(str(sample / "tokenizer.json"))


def test_the_folder_stays_below_four_megabytes(sample):
    files = (path for path in sample.rglob("*") if "__pycache__" not in path.parts)
    assert sum(path.stat().st_size for path in files if path.is_file()) < 4_000_000


def test_the_weights_have_the_shapes_that_the_config_says(sample, config):
    weights = load_file(sample / "model.safetensors")
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    keys = config["num_key_value_heads"] * config["head_dim"]
    layer = {
        "input_layernorm": (hidden,),
        "post_attention_layernorm": (hidden,),
        "self_attn.q_proj": (hidden, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, hidden),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }
    expected = {
        f"model.layers.{index}.{name}.weight": shape
        for index in range(config["num_hidden_layers"])
        for name, shape in layer.items()
    }
    expected["model.embed_tokens.weight"] = (config["vocab_size"], hidden)
    expected["model.norm.weight"] = (hidden,)
    assert {name: weight.shape for name, weight in weights.items()} == expected
    assert {weight.dtype for weight in weights.values()} == {np.dtype("float16")}
    assert all(np.isfinite(weight).all() for weight in weights.values())


def test_the_end_of_a_turn_is_the_token_that_stops_a_chatml_model(tokenizer, config):
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    assert [tokenizer.token_to_id(text) for text in special] == [0, 1, 2]
    assert config["eos_token_id"] == 2
    assert tokenizer.get_vocab_size() == config["vocab_size"]


@pytest.mark.parametrize(
    "text", ["Hello!", "naïve café ☕", "  two\n\nlines\t", "日本"]
)
def test_any_text_survives_the_tokenizer(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_the_reference_was_made_with_this_tokenizer(tokenizer):
    for found in json.loads(REFERENCE.read_text()):
        assert tokenizer.encode(found["prompt"]).ids == found["tokens"]
        written = tokenizer.decode(found["greedy"], skip_special_tokens=False)
        assert written == found["greedy_text"]
        assert found["top"][0] == found["greedy"][0]
