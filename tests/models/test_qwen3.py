"""Qwen 3: its config; its logits are compared with transformers elsewhere."""

import json

import pytest

from mlcx.architectures.qwen3 import Config
from mlcx.errors import InputError

from .conftest import tiny

CONFIG = tiny("qwen3")


def test_the_config_has_the_fields_of_the_format() -> None:
    config = Config.from_hf(CONFIG).to_dict()
    assert " ".join(config) == (
        "hidden_act hidden_size intermediate_size attention_bias num_attention_heads "
        "num_hidden_layers num_key_value_heads rms_norm_eps rope_theta vocab_size "
        "tie_word_embeddings context_window_size prefill_chunk_size "
        "tensor_parallel_shards head_dim dtype max_batch_size weight_block_size"
    )
    assert (config["head_dim"], config["weight_block_size"]) == (48, None)


def test_a_chunk_has_2048_tokens_unless_more_are_asked_for() -> None:
    long = CONFIG | {"max_position_embeddings": 9000}
    assert Config.from_hf(long).prefill_chunk_size == 2048
    asked = Config.from_hf(long | {"prefill_chunk_size": 4096})
    assert asked.prefill_chunk_size == 4096


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": "gelu"}, "'hidden_act': expected 'silu', found 'gelu'"),
        ({"use_sliding_window": True}, "qwen3 attends to all tokens here"),
        ({"rope_scaling": {"type": "yarn"}}, "'yarn', expected none"),
        ({"head_dim": None}, "'head_dim': expected a whole number"),
        ({"weight_block_size": [128]}, r"expected two whole numbers from 1 .*\[128\]"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)


def test_blocks_of_8_bit_floats_are_as_the_checkpoint_says() -> None:
    quantized = CONFIG | {"quantization_config": {"weight_block_size": [128, 64]}}
    config = Config.from_hf(quantized)
    assert config.weight_block_size == (128, 64)
    assert Config.from_hf(json.loads(json.dumps(config.to_dict()))) == config
