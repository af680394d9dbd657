"""OLMo 2: its config; its logits are compared with transformers elsewhere."""

import pytest

from mlcx.architectures.olmo2 import Config
from mlcx.errors import InputError

from .conftest import tiny

CONFIG = tiny("olmo2")


def test_the_config_has_the_fields_of_the_format() -> None:
    config = Config.from_hf(CONFIG).to_dict()
    assert " ".join(config) == (
        "vocab_size hidden_size num_attention_heads num_key_value_heads head_dim "
        "position_embedding_base rope_scaling intermediate_size hidden_act "
        "num_hidden_layers rms_norm_eps tie_word_embeddings context_window_size "
        "prefill_chunk_size tensor_parallel_shards pipeline_parallel_stages "
        "max_batch_size"
    )
    assert (config["head_dim"], config["position_embedding_base"]) == (80, 5000.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention_bias": True}, "olmo2 has no bias here"),
        ({"hidden_act": "gelu"}, "'hidden_act': expected 'silu', found 'gelu'"),
        ({"rope_scaling": {"type": "yarn"}}, "'yarn', expected none"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
