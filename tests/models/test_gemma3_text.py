"""Gemma 3: its configs, of text and of more, and what its layers see and rotate."""

from typing import Any

import pytest

from mlcx.architectures.gemma3_text import Config
from mlcx.errors import InputError
from mlcx.models.gemma3_text import Attention, Model
from mlcx.nn.rotary import Rotary

from .conftest import tiny

CONFIG = tiny("gemma3_text")
WRAPPED = tiny("gemma3")


def test_the_config_has_the_fields_of_the_format_and_those_of_its_layers() -> None:
    config = Config.from_hf(CONFIG).to_dict()
    assert " ".join(config) == (
        "hidden_size intermediate_size num_hidden_layers attention_bias "
        "num_attention_heads num_key_value_heads head_dim rms_norm_eps "
        "hidden_activation position_embedding_base rope_scaling context_window_size "
        "prefill_chunk_size query_pre_attn_scalar sliding_window "
        "sliding_window_pattern rope_local_base_freq final_logit_softcapping "
        "vocab_size tensor_parallel_shards max_batch_size"
    )
    # Runtimes would let the whole cache slide.
    assert "sliding_window_size" not in config


def test_the_text_part_of_a_multimodal_config_is_read() -> None:
    found, plain = Config.from_hf(WRAPPED), Config.from_hf(CONFIG)
    stretched = {"rope_type": "linear", "factor": 8.0}
    assert found.to_dict() == plain.to_dict() | {"rope_scaling": stretched}


def test_what_is_beside_the_text_part_wins_if_it_is_set() -> None:
    beside = {"context_window_size": 64, "prefill_chunk_size": -1, "vocab_size": None}
    found = Config.from_hf(WRAPPED | beside)
    assert (found.context_window_size, found.vocab_size) == (64, 99)


def test_a_multimodal_config_may_leave_out_what_large_ones_do() -> None:
    text = {"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34}
    found = Config.from_hf({"text_config": text | {"sliding_window": 1024}})
    heads = (found.num_attention_heads, found.num_key_value_heads, found.head_dim)
    assert heads == (8, 4, 256)
    assert (found.context_window_size, found.vocab_size) == (131072, 262208)
    rotations = (found.position_embedding_base, found.rope_local_base_freq)
    assert rotations == (1000000.0, 10000.0)


def test_a_config_of_mlc_is_read() -> None:
    text = {k: v for k, v in CONFIG.items() if k != "sliding_window"}
    text |= {"sliding_window_size": 512, "rope_scaling": 0, "context_window_size": 8192}
    found = Config.from_hf({"text_config": text, "is_text_model": True})
    assert (found.sliding_window, found.context_window_size) == (512, 8192)


PLAIN = CONFIG | {"rope_theta": None, "rope_local_base_freq": None}
BY_KIND = {
    "full_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 70.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 30.0},
}


def test_layers_see_and_rotate_by_their_kind() -> None:
    config = Config.from_hf(PLAIN | {"rope_parameters": BY_KIND})
    attention = Attention(config)
    assert [attention.slides(layer) for layer in range(3)] == [True, True, False]
    assert attention.local_rotary == Rotary(30.0, None)
    assert attention.rotary == Rotary(70.0, {"rope_type": "linear", "factor": 2.0})
    spec = Model(config, "float16").state_spec
    assert (spec.layer_window, spec.rotary_dim) == (20, 0)


def test_without_a_window_layers_see_all_and_rotate_as_before() -> None:
    attention = Attention(Config.from_hf(CONFIG | {"sliding_window": None}))
    assert [attention.slides(layer) for layer in range(3)] == [False] * 3
    assert [attention.local(layer) for layer in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    ("types", "pattern"),
    [("ssf", 3), ("sfs", 2), ("sss", 4), ("fff", 1), (None, 6)],
)
def test_the_pattern_comes_from_the_types_of_layers(
    types: str | None, pattern: int
) -> None:
    names = {"s": "sliding_attention", "f": "full_attention"}
    listed = [names[kind] for kind in types] if types else None
    plain = {k: v for k, v in CONFIG.items() if k != "sliding_window_pattern"}
    config = Config.from_hf(plain | {"layer_types": listed})
    assert config.sliding_window_pattern == pattern


def test_every_parameter_is_below_the_name_of_the_format() -> None:
    model = Model(Config.from_hf(CONFIG), "float16")
    names = [name for name, _ in model.named_parameters()]
    assert all(name.startswith("language_model.model.") for name in names)
    assert "language_model.model.layers.2.self_attn.q_norm.weight" in names


YARN = {"sliding_attention": {"rope_type": "yarn"}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_activation": "gelu"}, "'gelu_pytorch_tanh', found 'gelu'"),
        ({"use_bidirectional_attention": True}, "gemma3_text sees no later tokens"),
        ({"attn_logit_softcapping": 5.0}, "gemma3_text does not cap scores"),
        ({"rope_scaling": {"rope_type": "yarn"}}, "'yarn', expected one of linear"),
        (
            {"rope_parameters": {"sliding_attention": 7}},
            "sliding_attention: 'rope_parameters': expected an object, found 7",
        ),
        (
            {"rope_parameters": YARN},
            "sliding_attention: rope_scaling is 'yarn', expected none",
        ),
        (
            {"rope_parameters": BY_KIND, "rope_local_base_freq": 31},
            "expected one rope_theta, found 31.0 .* and 30.0 ",
        ),
        (
            {"layer_types": ["full_attention"] * 2},
            "'layer_types': expected 3, in equal",
        ),
        ({"rope_local_base_freq": 0}, "'rope_local_base_freq': expected a number"),
    ],
)
def test_what_the_network_would_not_do_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
