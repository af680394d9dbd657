"""The library of a tiny model: complete, honest of itself, and the same every time."""

import dataclasses
import shlex
from pathlib import Path

import pytest
from tvm import cpu, relax, runtime

from mlcx.__main__ import main
from mlcx.compiler.build import Options, compile_library
from mlcx.compiler.compile_config import CompileConfig
from mlcx.errors import BuildError, UsageError
from mlcx.stamp import find
from mlcx.toolchain import products

TINY = Path(__file__).parents[1] / "tiny" / "llama.json"
GRAPH = """
    _metadata embed get_logits batch_select_last_hidden_states alloc_embedding_tensor
    prefill decode prefill_to_last_hidden_states decode_to_last_hidden_states
    batch_prefill batch_decode batch_verify batch_prefill_to_last_hidden_states
    batch_decode_to_last_hidden_states batch_verify_to_last_hidden_states
    create_tir_paged_kv_cache gather_hidden_states scatter_hidden_states
""".split()
SUPPORT = """
    softmax_with_temperature apply_logit_bias_inplace apply_penalty_inplace
    apply_bitmask_inplace multinomial_from_uniform argsort_probs sample_with_top_p
    sampler_take_probs sampler_verify_draft_tokens renormalize_by_top_p gather_probs
    scatter_probs
""".split()


@pytest.fixture(scope="module")
def machine(library: Path) -> runtime.Module:
    """The library as MLC Engine opens it."""
    return relax.VirtualMachine(runtime.load_module(str(library)), cpu()).module


@pytest.mark.parametrize("name", GRAPH + SUPPORT)
def test_the_engine_finds_every_function(machine: runtime.Module, name: str) -> None:
    assert machine.get_function(name, query_imports=True) is not None


@pytest.mark.parametrize("name", ["create_paged_kv_cache", "create_rnn_state"])
def test_functions_that_would_mislead_the_engine_are_absent(
    machine: runtime.Module, name: str
) -> None:
    with pytest.raises(AttributeError):
        machine.get_function(name, query_imports=True)


def test_the_metadata_has_the_fields_that_engines_require(metadata: dict) -> None:
    whole = (
        "context_window_size sliding_window_size attention_sink_size "
        "prefill_chunk_size max_batch_size tensor_parallel_shards "
        "pipeline_parallel_stages"
    )
    assert all(type(metadata[name]) is int for name in whole.split())
    assert metadata["model_type"] == "llama"
    assert metadata["quantization"] == "q4f16_1"
    assert metadata["kv_state_kind"] == "kv_cache"
    assert metadata["kv_cache"] == {
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
    }
    assert (metadata["prefill_chunk_size"], metadata["max_batch_size"]) == (32, 3)


def test_the_parameters_are_those_of_the_converted_weights(metadata: dict) -> None:
    params = {each["name"]: each for each in metadata["params"]}
    assert params["model.embed_tokens.q_weight"]["shape"] == [99, 8]
    assert params["model.embed_tokens.q_scale"]["shape"] == [99, 2]
    assert params["model.layers.1.mlp.down_proj.q_weight"]["shape"] == [64, 12]
    assert params["model.norm.weight"]["dtype"] == "float16"
    assert params["lm_head.q_weight"]["dtype"] == "uint32"


def test_memory_is_planned_for_every_forward(metadata: dict) -> None:
    usage = metadata["memory_usage"]
    assert "_metadata" not in usage
    assert all(usage[name] > 0 for name in ("prefill", "decode", "batch_verify"))
    assert usage["decode"] < usage["prefill"]


def test_no_function_holds_a_whole_dequantized_weight(metadata: dict) -> None:
    smallest = 64 * 96 * 2
    assert metadata["memory_usage"]["decode"] < smallest


def test_a_library_for_disaggregation_is_refused(
    config: CompileConfig, options: Options, tmp_path: Path
) -> None:
    fields = {**config.model_config, "disaggregation": True}
    apart = dataclasses.replace(config, model_config=fields)
    with pytest.raises(UsageError, match="disaggregation: expected false"):
        compile_library(apart, options, tmp_path / "x.so")


@pytest.mark.parametrize("key", ["tensor_parallel_shards", "pipeline_parallel_stages"])
def test_a_sharded_library_is_refused(
    config: CompileConfig, options: Options, tmp_path: Path, key: str
) -> None:
    fields = {**config.model_config, key: 2}
    sharded = dataclasses.replace(config, model_config=fields)
    with pytest.raises(UsageError, match=f"{key}: expected 1, .* found 2"):
        compile_library(sharded, options, tmp_path / "x.so")


def test_the_same_model_compiles_to_the_same_bytes(
    library: Path, config: CompileConfig, options: Options, tmp_path: Path
) -> None:
    again = tmp_path / "elsewhere" / "other.so"
    compile_library(config, options, again)
    assert again.read_bytes() == library.read_bytes()


def test_the_stamp_is_what_the_library_says_of_itself(
    library: Path, metadata: dict, options: Options
) -> None:
    (description,) = find(library.read_bytes())
    assert description.metadata == metadata
    stamp = description.stamp
    assert stamp is not None
    assert (stamp.tvm, stamp.tvm_ffi) == ("0.27.0.post1", "0.1.14.post1")
    assert (stamp.device, stamp.kind, stamp.system_lib_prefix) == ("cpu", "llvm", None)
    assert stamp.host["mtriple"] == options.target.host.attrs["mtriple"]
    assert stamp.overrides["max_batch_size"] == 3
    assert len(stamp.config_sha256) == 64


def test_the_stamp_counts_what_the_runtime_is_given(library: Path) -> None:
    (description,) = find(library.read_bytes())
    stamp = description.stamp
    assert stamp is not None
    create = stamp.abi["vm.builtin.paged_attention_kv_cache_create"]
    assert create == {"arguments": 28, "sizes": 5}
    attend = "vm.builtin.attention_kv_cache_attention_with_fused_qkv"
    assert stamp.abi[attend] == {"arguments": 5}


def test_a_library_comes_alone(library: Path) -> None:
    assert list(library.parent.iterdir()) == [library]


@pytest.mark.slow
def test_the_command_in_the_stamp_makes_the_same_library(tmp_path: Path) -> None:
    first, again = tmp_path / "first.so", tmp_path / "again.so"
    given = ["--quantization", "q4f16_1", "--overrides", "context_window_size=64"]
    given += ["--host", "x86_64-linux-gnu", "-o", str(first)]
    assert main(["compile", str(TINY), *given]) == 0
    (description,) = find(first.read_bytes())
    command = description.command(str(again))
    assert command is not None
    words = shlex.split(command.replace("MODEL", str(TINY), 1))
    assert main(words[1:]) == 0
    assert again.read_bytes() == first.read_bytes()


def test_a_failed_link_leaves_the_old_library_alone(
    config: CompileConfig,
    options: Options,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = tmp_path / "old.so"
    output.write_bytes(b"old")
    monkeypatch.setattr(products, "native_linker", lambda: "false")
    with pytest.raises(BuildError, match="linking failed: false"):
        compile_library(config, options, output)
    assert output.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [output]
