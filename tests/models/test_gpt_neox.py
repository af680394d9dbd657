"""GPT-NeoX: its config; its logits are compared with transformers elsewhere."""

import pytest

from mlcx.architectures.gpt_neox import Config
from mlcx.errors import InputError

from .conftest import tiny

CONFIG = tiny("gpt_neox")


def test_the_config_has_the_fields_of_the_format() -> None:
    config = Config.from_hf(CONFIG).to_dict()
    assert " ".join(config) == (
        "use_parallel_residual hidden_size intermediate_size num_attention_heads "
        "num_hidden_layers layer_norm_eps vocab_size rotary_pct "
        "position_embedding_base context_window_size head_dim prefill_chunk_size "
        "tensor_parallel_shards ffn_out_dtype max_batch_size"
    )
    assert (config["position_embedding_base"], config["head_dim"]) == (10000, 20)


def test_the_newest_spelling_of_the_rotation_is_read() -> None:
    newest = {"rope_theta": 7.0, "partial_rotary_factor": 0.3, "rope_type": "default"}
    older = {"rotary_pct": None, "rotary_emb_base": None}
    config = Config.from_hf(CONFIG | older | {"rope_parameters": newest})
    assert (config.position_embedding_base, config.rotary_pct) == (7.0, 0.3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": "relu"}, "'hidden_act': expected 'gelu' or 'gelu_fast' or"),
        ({"attention_bias": False}, "gpt_neox has biases here"),
        ({"rotary_pct": 1.5}, "rotates 30 of 20 dimensions"),
        ({"rotary_pct": 1e308}, "rotates 40 of 20 dimensions"),
        (
            {"rope_parameters": {"partial_rotary_factor": "x"}},
            "rope_parameters: 'partial_rotary_factor': expected a number",
        ),
        ({"rotary_pct": None}, "'rotary_pct': expected a number greater than 0"),
        ({"rotary_pct": 0.05}, "rotates 1 of 20 dimensions"),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, "'linear', expected none"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
