"""Qwen 3 with experts: its config; the rest is compared with transformers elsewhere."""

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


def test_blocks_of_8_bit_floats_are_as_the_checkpoint_says() -> None:
    quantized = {"quantization_config": {"weight_block_size": [128, 64]}}
    config = Config.from_hf(tiny("qwen3_moe", **quantized))
    assert config.weight_block_size == (128, 64)
