"""Cohere's models: their config and what follows from it."""

from typing import Any

import pytest

from mlcx.architectures.cohere import Config
from mlcx.errors import InputError
from mlcx.models.cohere import Model

from .conftest import tiny

CONFIG = tiny("cohere")


def test_the_config_has_the_fields_of_the_format_and_what_it_lacks() -> None:
    config = Config.from_hf(CONFIG).to_dict()
    assert " ".join(config) == (
        "model_type hidden_size vocab_size num_hidden_layers num_attention_heads "
        "num_key_value_heads intermediate_size layer_norm_eps "
        "position_embedding_base context_window_size prefill_chunk_size head_dim "
        "tensor_parallel_shards max_batch_size logit_scale use_qk_norm "
        "tie_word_embeddings"
    )
    assert config["tie_word_embeddings"] is True


def test_a_config_of_mlc_has_the_usual_scale_of_logits() -> None:
    ours = ("logit_scale", "use_qk_norm", "tie_word_embeddings")
    plain = {k: v for k, v in CONFIG.items() if k not in ours}
    config = Config.from_hf(plain | {"num_key_value_heads": None})
    assert (config.logit_scale, config.num_key_value_heads) == (0.0625, 4)


@pytest.mark.parametrize("normed", [True, False])
@pytest.mark.parametrize("tied", [True, False])
def test_parameters_are_those_that_the_config_asks_for(
    normed: bool, tied: bool
) -> None:
    changes = {"use_qk_norm": normed, "tie_word_embeddings": tied}
    model = Model(Config.from_hf(CONFIG | changes), "float16")
    shapes = {name: list(each.shape) for name, each in model.named_parameters()}
    attention = "model.layers.1.self_attn."
    assert shapes[f"{attention}out_proj.weight"] == [64, 64]
    assert ("lm_head.weight" in shapes) is not tied
    norms = [shapes.get(f"{attention}{part}_norm.weight") for part in "qk"]
    assert norms == ([[4, 16], [2, 16]] if normed else [None, None])
    assert not any(name.endswith("bias") for name in shapes)
    assert model.state_spec.interleaved


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention_bias": True}, "cohere has no bias here"),
        ({"hidden_act": "gelu"}, "'hidden_act': expected 'silu', found 'gelu'"),
        ({"rope_scaling": {"type": "dynamic"}}, "'dynamic', expected none"),
        ({"logit_scale": 0}, "'logit_scale': expected a number greater than 0"),
        ({"num_key_value_heads": 3}, "expected a multiple of num_key_value_heads"),
    ],
)
def test_what_the_network_would_not_do_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
