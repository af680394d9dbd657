"""Phi 3: its config, and which factors rotate its texts."""

import math

import pytest

from mlcx.architectures.phi3 import Config
from mlcx.errors import InputError

from .conftest import tiny

CONFIG = tiny("phi3")
LONG = {
    "original_max_position_embeddings": 16,
    "rope_scaling": {
        "type": "su",
        "long_factor": [2.0] * 8,
        "short_factor": [1.0] * 8,
    },
}


def test_the_config_has_the_fields_of_the_format() -> None:
    config = Config.from_hf(CONFIG).to_dict()
    assert " ".join(config) == (
        "model_type hidden_size vocab_size num_hidden_layers num_attention_heads "
        "intermediate_size rms_norm_eps num_key_value_heads max_position_embeddings "
        "position_embedding_base rope_scaling original_max_position_embeddings "
        "context_window_size prefill_chunk_size head_dim tensor_parallel_shards "
        "max_batch_size tie_word_embeddings partial_rotary_factor sliding_window"
    )
    assert (config["head_dim"], config["rope_scaling"]) == (16, None)


def test_su_is_longrope_with_its_lengths() -> None:
    scaling = Config.from_hf(CONFIG | LONG).rope_scaling
    assert scaling is not None
    lengths = ("max_position_embeddings", "original_max_position_embeddings")
    assert [scaling[key] for key in ("rope_type", *lengths)] == ["longrope", 128, 16]


@pytest.mark.parametrize(("context", "factor"), [(16, 1.0), (17, 2.0), (128, 2.0)])
def test_the_context_window_chooses_the_factors(context: int, factor: float) -> None:
    config = Config.from_hf(CONFIG | LONG | {"context_window_size": context})
    rotation = config.rotation()
    assert rotation is not None
    assert rotation["factors"] == [factor] * 8
    grown = math.sqrt(1 + math.log(128 / 16) / math.log(16))
    assert rotation["attention_factor"] == pytest.approx(grown)


def scaled(**changes: object) -> dict[str, object]:
    return LONG | {"rope_scaling": {**LONG["rope_scaling"], **changes}}


def test_a_factor_of_attention_that_is_given_is_taken() -> None:
    config = Config.from_hf(CONFIG | scaled(attention_factor=1.25, factor=8))
    rotation = config.rotation()
    assert rotation is not None
    assert rotation["attention_factor"] == 1.25
    assert Config.from_hf(config.to_dict()) == config


def test_texts_of_the_first_training_have_4096_tokens_if_nothing_is_said() -> None:
    fields = {**CONFIG, **LONG, "max_position_embeddings": 2 * 4096}
    del fields["original_max_position_embeddings"]
    assert Config.from_hf(fields).original_max_position_embeddings == 4096


@pytest.mark.parametrize(
    ("window", "seen"), [(None, None), (20, 20), (128, None), (262144, None)]
)
def test_a_window_as_long_as_the_context_hides_nothing(
    window: int | None, seen: int | None
) -> None:
    assert Config.from_hf(CONFIG | {"sliding_window": window}).layer_window == seen


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rope_scaling": {"type": "yarn"}}, "'yarn', expected longrope"),
        (
            {"rope_scaling": LONG["rope_scaling"] | {"long_factor": [1.0]}},
            "'long_factor': expected 8 numbers greater than 0",
        ),
        (
            {"rope_scaling": LONG["rope_scaling"] | {"short_factor": [0] * 8}},
            "'short_factor': expected 8 numbers greater than 0",
        ),
        (scaled(short_mscale=1.1), "rope_scaling: 'short_mscale' is 1.1, but phi3 has"),
        (scaled(attention_factor=0), "rope_scaling: 'attention_factor': expected a nu"),
        (scaled(factor=4.0), "rope_scaling: 'factor' is 4.0: expected max_.* is 8.0"),
        (LONG | {"original_max_position_embeddings": 1}, "expected at least 2"),
        ({"attention_bias": True}, "phi3 has no bias here"),
        ({"partial_rotary_factor": 0.45}, "rotates 7 of 16 dimensions"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
