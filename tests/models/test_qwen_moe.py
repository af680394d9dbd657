"""What Qwen's mixtures of experts share: which layers have experts, and configs."""

from types import ModuleType

import pytest

from mlcx.architectures import qwen2_moe, qwen3_moe
from mlcx.architectures.qwen_moe import is_sparse
from mlcx.errors import InputError

from .conftest import tiny

BOTH = pytest.mark.parametrize(
    ("module", "name"), [(qwen2_moe, "qwen2_moe"), (qwen3_moe, "qwen3_moe")]
)


@BOTH
@pytest.mark.parametrize(
    ("step", "dense", "sparse"),
    [(1, [], [0, 1, 2, 3]), (2, [], [1, 3]), (2, [3], [1]), (None, [0], [1, 2, 3])],
)
def test_experts_are_in_every_nth_layer_but_those_named(
    module: ModuleType,
    name: str,
    step: int | None,
    dense: list[int],
    sparse: list[int],
) -> None:
    changes = {"decoder_sparse_step": step, "mlp_only_layers": dense}
    config = module.Config.from_hf(tiny(name, **changes))
    assert [n for n in range(4) if is_sparse(config, n)] == sparse


@BOTH
def test_experts_follow_each_other_in_the_stack(module: ModuleType, name: str) -> None:
    config = module.Config.from_hf(tiny(name, num_experts=3))
    recipe = module.weights(config)["model.layers.{i}.mlp.moe_gate_up_proj.weight"]
    assert recipe.tensors == tuple(
        f"model.layers.{{i}}.mlp.experts.{expert}.{part}_proj.weight"
        for expert in range(3)
        for part in ("gate", "up")
    )


@BOTH
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_experts_per_tok": 7}, "must not exceed num_experts"),
        ({"num_experts": 0}, "'num_experts': expected a whole number from 1"),
        ({"mlp_only_layers": "all"}, "expected a list of layers' numbers, found 'all'"),
        ({"mlp_only_layers": [0.5]}, r"expected a list of .*, found \[0.5\]"),
        ({"decoder_sparse_step": -1}, "'decoder_sparse_step': expected"),
        ({"norm_topk_prob": "yes"}, "'norm_topk_prob': expected true or false"),
        ({"use_sliding_window": True}, "attends to all tokens here"),
        ({"rope_scaling": {"type": "yarn"}}, "'yarn', expected none"),
    ],
)
def test_what_the_network_would_not_do_is_refused(
    module: ModuleType, name: str, changes: dict, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        module.Config.from_hf(tiny(name, **changes))


@BOTH
def test_the_newer_name_of_the_number_of_experts_is_read(
    module: ModuleType, name: str
) -> None:
    newer = tiny(name, num_local_experts=4)
    del newer["num_experts"]
    assert module.Config.from_hf(newer).num_experts == 4
