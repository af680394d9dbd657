"""StarCoder 2: its config; its logits are compared with transformers elsewhere."""

import pytest

from mlcx.architectures.starcoder2 import Config
from mlcx.errors import InputError

from .conftest import tiny

CONFIG = tiny("starcoder2")


def test_the_config_has_the_fields_of_the_format() -> None:
    config = Config.from_hf(CONFIG).to_dict()
    assert " ".join(config) == (
        "vocab_size hidden_size num_hidden_layers num_attention_heads "
        "num_key_value_heads hidden_act norm_epsilon intermediate_size rope_theta "
        "use_bias use_cache bos_token_id eos_token_id context_window_size "
        "prefill_chunk_size tensor_parallel_shards max_batch_size head_dim "
        "sliding_window_size attention_sink_size tie_word_embeddings"
    )
    assert (config["head_dim"], config["tie_word_embeddings"]) == (80, True)


@pytest.mark.parametrize(
    ("window", "sizes"), [(None, (128, -1, 128)), (20, (-1, 20, 20))]
)
def test_a_window_takes_the_limit_from_the_context(
    window: int | None, sizes: tuple[int, ...]
) -> None:
    config = Config.from_hf(CONFIG | {"sliding_window": window})
    assert sizes == (
        config.context_window_size,
        config.sliding_window_size,
        config.prefill_chunk_size,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": "gelu"}, "expected 'gelu_pytorch_tanh', found 'gelu'"),
        ({"rope_scaling": {"type": "linear"}}, "'linear', expected none"),
        ({"sliding_window": 4, "attention_sink_size": 4}, "must be less than sliding_"),
        ({"use_bias": "no"}, "'use_bias': expected true or false, found 'no'"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
