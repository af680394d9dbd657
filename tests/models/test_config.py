"""Reading configs: what is wrong is said all at once, in the reader's words."""

import pytest

from mlcx.architectures.llama import Config
from mlcx.errors import InputError

TINY = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "vocab_size": 96,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
    "rope_theta": 5000.0,
}
LLAMA3 = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


def test_sizes_are_derived_from_a_checkpoints_config() -> None:
    config = Config.from_hf(TINY)
    assert (config.head_dim, config.num_key_value_heads) == (16, 2)
    assert (config.context_window_size, config.prefill_chunk_size) == (128, 128)
    assert (config.position_embedding_base, config.rope_scaling) == (5000.0, None)


def test_a_normalized_config_reads_back_as_itself() -> None:
    config = Config.from_hf(TINY | {"rope_scaling": {"rope_type": "llama3", **LLAMA3}})
    assert Config.from_hf(config.to_dict()) == config


@pytest.mark.parametrize(
    ("fields", "scaling"),
    [
        ({"rope_scaling": None}, None),
        ({"rope_scaling": {"rope_type": "default"}}, None),
        (
            {"rope_scaling": {"rope_type": "llama3", **LLAMA3, "more": 1}},
            {"rope_type": "llama3", **LLAMA3},
        ),
        (
            {"rope_scaling": {"type": "linear", "factor": 2.0, "rope_type": None}},
            {"rope_type": "linear", "factor": 2.0},
        ),
        (
            {
                "rope_parameters": {
                    "rope_type": "linear",
                    "factor": 4,
                    "rope_theta": 5000,
                }
            },
            {"rope_type": "linear", "factor": 4.0},
        ),
    ],
)
def test_rope_scaling_is_read_in_each_spelling(fields: dict, scaling: object) -> None:
    assert Config.from_hf(TINY | fields).rope_scaling == scaling


def test_both_objects_on_rope_are_read_together() -> None:
    both = {
        "rope_scaling": {"type": "linear", "factor": 2.0},
        "rope_parameters": {"rope_type": "linear", "rope_theta": 5000},
    }
    scaling = {"rope_type": "linear", "factor": 2.0}
    assert Config.from_hf(TINY | both).rope_scaling == scaling


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden_size": -4}, "'hidden_size': expected a whole number from 1 to"),
        ({"vocab_size": 2**40}, "'vocab_size': expected a whole number from 1 to"),
        ({"vocab_size": "96"}, "found '96'"),
        ({"vocab_size": True}, "found True"),
        ({"rms_norm_eps": 0}, "'rms_norm_eps': expected a number greater than 0"),
        ({"tie_word_embeddings": "no"}, "expected true or false, found 'no'"),
        ({"attention_bias": True}, "llama has no bias here"),
        ({"hidden_act": "gelu"}, "'hidden_act': expected 'silu', found 'gelu'"),
        ({"num_key_value_heads": 3}, "expected a multiple of num_key_value_heads"),
        ({"num_hidden_layers": 10**9}, "'num_hidden_layers': expected a whole number"),
        ({"num_hidden_layers": 10_001}, "number from 1 to 10000, found 10001"),
        ({"head_dim": 15}, "a head is 15 wide: expected an even number"),
        ({"head_dim": 1}, "a head is 1 wide: expected an even number"),
        ({"rope_scaling": "x"}, "'rope_scaling': expected an object, found 'x'"),
        ({"rope_scaling": {"rope_type": "yarn"}}, "expected one of linear, llama3"),
        (
            {
                "rope_scaling": {"rope_type": "llama3", **LLAMA3}
                | {"low_freq_factor": 4.0}
            },
            "rope_scaling: expected low_freq_factor, 4.0, below high_freq_factor, 4.0",
        ),
        (
            {"rope_parameters": {"rope_type": "default", "rope_theta": 0}},
            "rope_parameters: 'rope_theta': expected a number greater than 0, found 0",
        ),
        (
            {"rope_parameters": {"rope_theta": 7}},
            "expected one rope_theta, found 5000.0 (rope_theta) and 7.0 "
            "(rope_parameters: rope_theta): leave the right one",
        ),
        (
            {
                "rope_scaling": {"type": "linear", "factor": 2},
                "rope_parameters": {"rope_type": "default", "factor": 3},
            },
            "rope_scaling and rope_parameters differ in rope_type, factor",
        ),
        ({"rope_theta": 10**400}, "'rope_theta': expected a number greater than 0"),
        ({"num_attention_heads": 128, "num_key_value_heads": 1}, "a head is 1 wide: "),
        (
            {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
            "rope_scaling: 'low_freq_factor': expected",
        ),
    ],
)
def test_a_wrong_field_is_named_with_what_was_expected(
    fields: dict, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        Config.from_hf(TINY | fields)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_attention_heads": 0},
        {"num_key_value_heads": -2},
        {"head_dim": 0.5},
        {"hidden_size": -64},
        {"rope_theta": float("nan")},
    ],
    ids=repr,
)
def test_a_wrong_field_is_reported_once_and_nothing_that_follows(wrong: dict) -> None:
    with pytest.raises(InputError) as caught:
        Config.from_hf(TINY | wrong)
    (problem,) = caught.value.problems
    assert problem.message.startswith(f"{next(iter(wrong))!r}: expected")


def test_all_missing_fields_are_reported_at_once() -> None:
    with pytest.raises(InputError) as caught:
        Config.from_hf({"hidden_size": 64, "num_attention_heads": 4})
    named = {problem.message.split("'")[1] for problem in caught.value.problems}
    assert {"intermediate_size", "num_hidden_layers", "vocab_size"} <= named
    assert all("found nothing" in each.message for each in caught.value.problems)
