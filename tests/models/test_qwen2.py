"""Qwen 2: its config; its logits are compared with transformers elsewhere."""

import pytest

from mlcx.architectures.qwen2 import Config
from mlcx.errors import InputError

from .conftest import tiny

CONFIG = tiny("qwen2")


def test_the_config_has_the_fields_of_the_format() -> None:
    config = Config.from_hf(CONFIG).to_dict()
    assert " ".join(config) == (
        "hidden_act hidden_size intermediate_size num_attention_heads "
        "num_hidden_layers num_key_value_heads rms_norm_eps rope_theta vocab_size "
        "tie_word_embeddings context_window_size prefill_chunk_size "
        "tensor_parallel_shards head_dim dtype max_batch_size"
    )
    assert (config["head_dim"], config["dtype"]) == (16, "float32")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": "relu"}, "'hidden_act': expected 'silu', found 'relu'"),
        ({"use_sliding_window": True}, "qwen2 attends to all tokens here"),
        ({"rope_scaling": {"type": "yarn"}}, "'yarn', expected none"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
