"""GPT-2: its config, tensors and positions; its logits are compared elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tvm_ffi
from safetensors.numpy import save_file

from mlcx.__main__ import main
from mlcx.architectures.gpt2 import Config
from mlcx.errors import InputError, MlcxError
from mlcx.runtime.device import LoadedModel, open_library

from .conftest import TEXT, random_weights, tiny

CONFIG = tiny("gpt2")


def shapes(prefix: str) -> dict[str, tuple[int, ...]]:
    """Return a checkpoint's tensors, matrices (in, out), with the masks of old ones."""
    hidden, inner, context = CONFIG["n_embd"], 4 * CONFIG["n_embd"], 128
    found: dict[str, tuple[int, ...]] = {
        "wte.weight": (CONFIG["vocab_size"], hidden),
        "wpe.weight": (context, hidden),
    }
    norms = ["ln_f"]
    for n in range(CONFIG["n_layer"]):
        norms += [f"h.{n}.ln_1", f"h.{n}.ln_2"]
        matrices = {
            "attn.c_attn": (hidden, 3 * hidden),
            "attn.c_proj": (hidden, hidden),
            "mlp.c_fc": (hidden, inner),
            "mlp.c_proj": (inner, hidden),
        }
        for name, shape in matrices.items():
            found[f"h.{n}.{name}.weight"] = shape
            found[f"h.{n}.{name}.bias"] = shape[1:]
        found[f"h.{n}.attn.bias"] = (1, 1, context, context)
    for name in norms:
        found |= {f"{name}.weight": (hidden,), f"{name}.bias": (hidden,)}
    return {prefix + name: shape for name, shape in found.items()}


def convert(folder: Path, tensors: dict[str, Any]) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    save_file(tensors, folder / "model.safetensors")
    common = [str(folder), "--quantization", "q0f32", "-o", str(folder / "model")]
    assert main(["convert_weight", *common]) == 0
    return folder / "model"


def contents(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(folder.iterdir())]


def test_names_with_and_without_the_models_prefix_give_the_same_files(
    tmp_path: Path,
) -> None:
    published = random_weights(shapes(""))
    saved = {f"transformer.{name}": value for name, value in published.items()}
    folders = [convert(tmp_path / "a", published), convert(tmp_path / "b", saved)]
    first, second = map(contents, folders)
    assert first == second


@pytest.mark.slow
def test_texts_fed_together_have_the_logits_of_each_alone(tmp_path: Path) -> None:
    folder = convert(tmp_path / "a", random_weights(shapes("")))
    common = [str(tmp_path / "a"), "--quantization", "q0f32", "-o", str(folder)]
    sizes = ["--max-batch-size", "3", "--conv-template", "LM"]
    assert main(["gen_config", *common, *sizes]) == 0
    library = folder / "model.so"
    assert main(["compile", str(folder), "--device", "cpu", "-o", str(library)]) == 0
    model = LoadedModel(open_library(library, "cpu"), folder, 3, 3 * 128)
    texts = {0: TEXT[:9], 1: TEXT[20:21], 2: TEXT[30:42]}

    def alone(text: list[int]) -> np.ndarray:
        model.add(9)
        found = model.forward("batch_verify", {9: text})
        model.remove(9)
        return found[-1]

    expected = {n: (alone(text), alone([*text, 7])) for n, text in texts.items()}
    for n in texts:
        model.add(n)
    found = model.forward("batch_prefill", texts)
    wanted = [expected[n][0] for n in texts]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)
    found = model.forward("batch_decode", {2: [7], 0: [7], 1: [7]})
    wanted = [expected[n][1] for n in (2, 0, 1)]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)
    # Whoever announces fewer tokens than are passed gets no positions of the others.
    begin = model._begin
    model._begin = lambda state, texts, _: begin(state, texts, tvm_ffi.Shape((1,)))
    with pytest.raises(MlcxError, match=r"batch_prefill failed: .*shape"):
        model.forward("batch_prefill", {0: [1, 2]})


def test_the_config_has_the_fields_of_the_format() -> None:
    config = Config.from_hf(CONFIG).to_dict()
    assert " ".join(config) == (
        "vocab_size n_embd n_layer n_head layer_norm_epsilon n_inner "
        "context_window_size prefill_chunk_size scale_attn_by_inverse_layer_idx "
        "tensor_parallel_shards head_dim max_batch_size n_positions "
        "activation_function tie_word_embeddings"
    )
    assert (config["n_inner"], config["head_dim"]) == (240, 20)


def test_a_config_of_mlc_has_as_many_positions_as_its_context() -> None:
    ours = ("n_positions", "activation_function", "tie_word_embeddings")
    fields = Config.from_hf(CONFIG).to_dict()
    for key in ours:
        del fields[key]
    config = Config.from_hf(fields)
    assert config.n_positions == 128
    assert config.activation_function == "gelu_new"
    assert config.tie_word_embeddings


def test_a_context_may_be_shorter_than_the_table_of_positions() -> None:
    config = Config.from_hf(CONFIG | {"context_window_size": 50})
    assert (config.context_window_size, config.n_positions) == (50, 128)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"context_window_size": 129}, "129 tokens: expected at most n_positions, 128"),
        ({"add_cross_attention": True}, "gpt2 attends to its own text alone"),
        ({"scale_attn_weights": False}, "scale_attn_weights is false"),
        ({"activation_function": "tanh"}, "'activation_function': expected 'gelu' or"),
        ({"scale_attn_by_inverse_layer_idx": 1}, "expected true or false, found 1"),
        ({"n_embd": 61}, "n_embd must be a multiple of n_head"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
