"""Gemma: its config; its logits are compared with transformers elsewhere."""

import pytest

from mlcx.architectures.gemma import Config
from mlcx.errors import InputError

from .conftest import tiny

CONFIG = tiny("gemma")


def test_the_config_has_the_fields_of_the_format() -> None:
    older = CONFIG | {"hidden_act": "gelu", "hidden_activation": None}
    config = Config.from_hf(older).to_dict()
    assert " ".join(config) == (
        "hidden_size intermediate_size attention_bias num_attention_heads "
        "num_key_value_heads head_dim num_hidden_layers rms_norm_eps vocab_size "
        "hidden_activation position_embedding_base context_window_size "
        "prefill_chunk_size tensor_parallel_shards max_batch_size"
    )
    assert (config["hidden_activation"], config["attention_bias"]) == ("gelu", False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_activation": "silu"}, "'gelu_pytorch_tanh', found 'silu'"),
        ({"attention_bias": True}, "gemma has no bias here"),
        ({"use_bidirectional_attention": True}, "gemma sees no later tokens"),
        ({"head_dim": None}, "'head_dim': expected a whole number"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
