"""Qwen 3 with experts: its config; the rest is compared with transformers elsewhere."""

import pytest

from mlcx.errors import InputError
from mlcx.models import qwen3
from mlcx.models.qwen3_moe import Config

from .conftest import tiny


def test_the_config_has_the_fields_of_the_format_then_one_of_ours() -> None:
    config = Config.from_hf(tiny("qwen3_moe")).to_dict()
    shared = qwen3.Config.from_hf(tiny("qwen3")).to_dict()
    assert list(config) == [
        *shared,
        "moe_intermediate_size",
        "num_experts_per_tok",
        "num_experts",
        "decoder_sparse_step",
        "norm_topk_prob",
        "mlp_only_layers",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"quantization_config": {"quant_method": "fp8"}},
        {"weight_block_size": [128, 128]},
    ],
)
def test_experts_in_8_bit_floats_are_refused(changes: dict) -> None:
    with pytest.raises(InputError, match="qwen3_moe is not read in fp8 here"):
        Config.from_hf(tiny("qwen3_moe", **changes))
