"""Gemma 2: its config, and which layers see what."""

from typing import Any

import pytest

from mlcx.architectures.gemma2 import Config
from mlcx.errors import InputError
from mlcx.models.gemma2 import Attention, Model

from .conftest import tiny

CONFIG = tiny("gemma2")


def test_the_config_has_the_fields_of_the_format() -> None:
    config = Config.from_hf(CONFIG).to_dict()
    assert " ".join(config) == (
        "hidden_size intermediate_size attention_bias num_attention_heads "
        "num_key_value_heads head_dim num_hidden_layers rms_norm_eps vocab_size "
        "hidden_activation position_embedding_base context_window_size "
        "prefill_chunk_size tensor_parallel_shards max_batch_size "
        "attn_logit_softcapping final_logit_softcapping query_pre_attn_scalar "
        "sliding_window"
    )


def test_the_context_is_not_limited_by_the_window() -> None:
    config = Config.from_hf(CONFIG)
    assert (config.context_window_size, config.sliding_window) == (128, 17)
    asked = Config.from_hf(CONFIG | {"context_window_size": 64})
    assert asked.context_window_size == 64


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (50.0, 30.0, 4096)),
        ({"attn_logit_softcapping": None}, (None, 30.0, 4096)),
        ({"final_logit_softcapping": None}, (50.0, None, 4096)),
        ({"sliding_window": None}, (50.0, 30.0, -1)),
        ({"sliding_window": 7}, (50.0, 30.0, 7)),
    ],
)
def test_null_switches_off_what_is_there_by_default(
    changes: dict[str, Any], expected: tuple[float | None, ...]
) -> None:
    switches = ("attn_logit_softcapping", "final_logit_softcapping", "sliding_window")
    plain = {key: value for key, value in CONFIG.items() if key not in switches}
    config = Config.from_hf(plain | changes)
    assert tuple(config.to_dict()[key] for key in switches) == expected
    assert Config.from_hf(config.to_dict()) == config


@pytest.mark.parametrize(
    ("changes", "sliding"),
    [
        ({}, [True, False, True]),
        ({"sliding_window": None}, [False, False, False]),
    ],
)
def test_every_other_layer_slides(changes: dict[str, Any], sliding: list[bool]) -> None:
    config = Config.from_hf(CONFIG | changes)
    attention = Attention(config)
    assert [attention.slides(layer) for layer in range(3)] == sliding
    assert attention.scale == pytest.approx(20**-0.5)
    window = Model(config, "float16").state_spec.layer_window
    assert window == (17 if any(sliding) else None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_activation": "silu"}, "'gelu_pytorch_tanh', found 'silu'"),
        ({"use_bidirectional_attention": True}, "gemma2 sees no later tokens"),
        ({"attn_logit_softcapping": -1.0}, "expected a number greater than 0"),
        ({"query_pre_attn_scalar": 0.5}, "'query_pre_attn_scalar': expected a whole"),
        ({"sliding_window": -7}, "'sliding_window': expected a whole number from 1"),
        ({"layer_types": ["full_attention"] * 3}, "expected every other layer to slid"),
        ({"layer_types": ["sliding_attention"]}, "'layer_types': expected 3, in equal"),
        ({"layer_types": 7}, "'layer_types': expected 3, in equal groups"),
    ],
)
def test_what_the_network_would_not_do_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
