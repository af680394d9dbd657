"""Qwen 2 with experts: its config; the rest is compared with transformers elsewhere."""

import pytest

from mlcx.architectures import qwen2
from mlcx.architectures.qwen2_moe import Config
from mlcx.errors import InputError

from .conftest import tiny


def test_the_config_has_the_fields_of_the_format_then_one_of_ours() -> None:
    config = Config.from_hf(tiny("qwen2_moe")).to_dict()
    shared = qwen2.Config.from_hf(tiny("qwen2")).to_dict()
    assert list(config) == [
        *shared,
        "moe_intermediate_size",
        "shared_expert_intermediate_size",
        "num_experts_per_tok",
        "num_experts",
        "decoder_sparse_step",
        "norm_topk_prob",
        "mlp_only_layers",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"qkv_bias": False}, "'qkv_bias' is false, but qwen2_moe has biases here"),
        (
            {"shared_expert_intermediate_size": None},
            "'shared_expert_intermediate_size': expected a whole number",
        ),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(tiny("qwen2_moe", **changes))
