"""Qwen 3 with experts: its config; the rest is compared with transformers elsewhere."""

import pytest

from mlcx.architectures import architecture, qwen3
from mlcx.architectures.qwen3_moe import Config
from mlcx.quant.apply import parameters
from mlcx.quant.scheme import scheme

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


def test_blocks_of_8_bit_floats_are_as_the_checkpoint_says() -> None:
    quantized = {"quantization_config": {"weight_block_size": [128, 64]}}
    config = Config.from_hf(tiny("qwen3_moe", **quantized))
    assert config.weight_block_size == (128, 64)


@pytest.mark.parametrize(
    ("kind", "quantization"),
    [
        ("qwen3_moe", "q4f16_1"),
        ("mixtral", "e4m3_e4m3_f16"),
    ],
)
def test_the_router_of_many_experts_stays_as_it_is(
    kind: str, quantization: str
) -> None:
    module = architecture(kind)
    many = dict.fromkeys(("num_experts", "num_local_experts"), 264)
    config = module.Config.from_hf(tiny(kind, num_hidden_layers=1, **many))
    found = parameters(module, config, scheme(quantization))
    packings = [one.packing for one in found if one.name.endswith(".gate.weight")]
    assert packings == [None]
