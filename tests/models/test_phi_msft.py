"""Phi's older checkpoints: the same files as of ``phi``'s names for the tensors."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from mlcx.__main__ import main
from mlcx.architectures.phi_msft import Config
from mlcx.errors import InputError
from mlcx.models import phi
from mlcx.models.phi_msft import Model

from .conftest import tiny
from .references import checkpoint, family

CONFIG = tiny("phi-msft")

SHARED = {
    "self_attn.dense": "mixer.out_proj",
    "self_attn.Wqkv": "mixer.Wqkv",
    "input_layernorm": "ln",
}
"""Modules of a layer, by their newest and older names."""


def fused(weights: dict[str, Any]) -> dict[str, Any]:
    """Return phi's tensors with queries, keys and values as one."""
    found = {name: value for name, value in weights.items() if "k_proj" not in name}
    for name in [name for name in found if "q_proj" in name]:
        parts = [weights[name.replace("q_proj", f"{part}_proj")] for part in "qkv"]
        found[name.replace("q_proj", "Wqkv")] = np.concatenate(parts)
        del found[name], found[name.replace("q_proj", "v_proj")]
    return found


def older(name: str) -> str:
    """Return the name that phi-msft has for a tensor of phi."""
    name = name.replace("model.embed_tokens", "transformer.embd.wte")
    name = name.replace("model.final_layernorm", "lm_head.ln")
    name = re.sub(r"^lm_head\.(weight|bias)", r"lm_head.linear.\1", name)
    name = name.replace("model.layers", "transformer.h")
    for new, old in SHARED.items():
        name = name.replace(new, old)
    return name


def numbered(name: str, layers: int) -> str:
    """Return the name that mixformer-sequential has for a tensor of phi-msft."""
    name = name.replace("transformer.embd.", "layers.0.")
    name = name.replace("lm_head.", f"layers.{layers + 1}.")
    return re.sub(
        r"^transformer\.h\.(\d+)", lambda at: f"layers.{int(at[1]) + 1}", name
    )


@pytest.mark.parametrize(("width", "rotated"), [(44, 30), (94, 6), (80, 32)])
def test_as_many_dimensions_rotate_as_the_config_says(width: int, rotated: int) -> None:
    sizes = {"n_head": 2, "n_embd": 2 * width, "rotary_dim": rotated}
    config = Config.from_hf(tiny("phi-msft", **sizes))
    assert Model(config, "float16").state_spec.rotary_dim == rotated


def converted(folder: Path, config: dict[str, Any], weights: dict[str, Any]) -> Any:
    """Return the parameters that a checkpoint becomes, by name."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    save_file(weights, folder / "model.safetensors")
    command = ["convert_weight", str(folder), "--quantization", "q4f16_1"]
    assert main([*command, "-o", str(folder / "out")]) == 0
    (shard,) = json.loads((folder / "out" / "tensor-cache.json").read_text())["records"]
    data = (folder / "out" / shard["dataPath"]).read_bytes()
    return {
        each["name"]: data[each["byteOffset"] :][: each["nbytes"]]
        for each in shard["records"]
    }


def test_older_names_make_the_same_parameters(tmp_path: Path) -> None:
    cases = family("phi")
    newest = cases.cases[cases.first]
    sizes = {
        "n_embd": newest["hidden_size"],
        "n_inner": newest["intermediate_size"],
        "n_head_kv": newest["num_key_value_heads"],
        "vocab_size": newest["vocab_size"],
    }
    weights = checkpoint(cases.arrays(), cases.first)
    renamed = {older(name): value for name, value in fused(weights).items()}
    in_order = {numbered(name, 2): value for name, value in renamed.items()}
    expected = converted(tmp_path / "phi", newest, weights)
    found = converted(tmp_path / "msft", CONFIG | sizes, renamed)
    assert found == expected
    config = tiny("mixformer-sequential", **sizes)
    assert converted(tmp_path / "mixformer", config, in_order) == expected


def test_the_network_is_that_of_phi() -> None:
    newest = {
        "vocab_size": 99,
        "hidden_size": 60,
        "intermediate_size": 92,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "layer_norm_eps": 1e-5,
        "partial_rotary_factor": 0.4,
        "max_position_embeddings": 128,
    }
    assert Config.from_hf(CONFIG).as_phi() == phi.Config.from_hf(newest)


def test_the_config_has_the_fields_of_the_format() -> None:
    config = Config.from_hf(CONFIG | {"n_inner": None}).to_dict()
    assert " ".join(config) == (
        "model_type vocab_size n_positions n_embd n_layer n_inner n_head rotary_dim "
        "position_embedding_base layer_norm_epsilon context_window_size "
        "prefill_chunk_size n_head_kv head_dim tensor_parallel_shards max_batch_size"
    )
    assert (config["n_inner"], config["n_head_kv"]) == (240, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation_function": "relu"}, "expected 'gelu_new' or 'gelu_fast'"),
        ({"rotary_dim": 22}, "'rotary_dim' is 22: expected an even number up to 20"),
        ({"n_head_kv": 2}, "n_head must be a multiple of n_head_kv"),
        ({"model_type": "phi"}, "'model_type': expected 'phi-msft' or 'mixformer-"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
