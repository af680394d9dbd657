"""Mixtral: its config; its logits are compared with transformers elsewhere."""

import pytest

from mlcx.architectures.mixtral import Config
from mlcx.errors import InputError

from .conftest import tiny

CONFIG = tiny("mixtral")


def test_the_config_has_the_fields_of_the_format_then_those_of_a_window() -> None:
    config = Config.from_hf(CONFIG).to_dict()
    assert " ".join(config) == (
        "hidden_size intermediate_size num_attention_heads num_hidden_layers "
        "rms_norm_eps vocab_size tie_word_embeddings position_embedding_base "
        "rope_scaling context_window_size prefill_chunk_size num_key_value_heads "
        "head_dim tensor_parallel_shards pipeline_parallel_stages max_batch_size "
        "disaggregation num_local_experts num_experts_per_tok sliding_window_size "
        "attention_sink_size"
    )
    assert (config["num_local_experts"], config["sliding_window_size"]) == (5, -1)


def test_a_window_takes_the_limit_from_the_context() -> None:
    config = Config.from_hf(CONFIG | {"sliding_window": 20})
    assert (config.context_window_size, config.sliding_window_size) == (-1, 20)
    assert (config.prefill_chunk_size, config.attention_sink_size) == (20, 4)


def test_heads_rotate_as_in_the_first_checkpoints_if_nothing_is_said() -> None:
    config = Config.from_hf(CONFIG | {"rope_theta": None})
    assert config.position_embedding_base == 1e6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_experts_per_tok": 6}, "must not exceed num_local_experts"),
        ({"num_local_experts": 0}, "'num_local_experts': expected a whole number"),
        ({"rope_scaling": {"type": "yarn"}}, "'yarn', expected none"),
        ({"hidden_act": "gelu"}, "'hidden_act': expected 'silu', found 'gelu'"),
        ({"sliding_window": 3}, "attention_sink_size must be less than"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
