"""StableLM: its config; its logits are compared with transformers elsewhere."""

import pytest

from mlcx.architectures.stablelm import Config
from mlcx.errors import InputError

from .conftest import tiny

CONFIG = tiny("stablelm")


def test_the_config_has_the_fields_of_the_format() -> None:
    config = Config.from_hf(CONFIG).to_dict()
    assert " ".join(config) == (
        "vocab_size hidden_size num_hidden_layers num_attention_heads "
        "num_key_value_heads layer_norm_eps partial_rotary_factor rope_theta "
        "intermediate_size use_qkv_bias head_dim context_window_size "
        "prefill_chunk_size tensor_parallel_shards max_batch_size"
    )
    assert (config["head_dim"], config["partial_rotary_factor"]) == (80, 0.25)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"qk_layernorm": True}, "stablelm normalizes no queries and keys here"),
        ({"use_parallel_residual": True}, "stablelm has its blocks in turn here"),
        ({"tie_word_embeddings": True}, "stablelm has a head of its own here"),
        ({"hidden_act": "gelu"}, "'hidden_act': expected 'silu', found 'gelu'"),
        ({"partial_rotary_factor": 0.3125}, "rotates 25 of 80 dimensions"),
        ({"rope_scaling": {"type": "linear"}}, "'linear', expected none"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
