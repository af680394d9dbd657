"""Phi: its config; its logits are compared with transformers elsewhere."""

import pytest

from mlcx.architectures.phi import Config
from mlcx.errors import InputError

from .conftest import tiny

CONFIG = tiny("phi")


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
        ({"num_key_value_heads": 2}, "expected a multiple of num_key_value_heads"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
