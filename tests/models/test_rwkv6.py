"""RWKV 6: its config, and its logits against numpy, of texts alone and together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from mlcx.__main__ import main
from mlcx.errors import InputError, MlcxError
from mlcx.models.rwkv6 import Config
from mlcx.runtime.device import LoadedModel, open_library

from .conftest import TEXT, Compute, random_weights, tiny
from .reference import Array, Weights, layer, layer_norm, linear, silu

CONFIG = tiny("rwkv6")
MIXED = "wkvrg"
CASES = {
    "heads of 12, halved now and then": CONFIG,
    "one head, never halved": tiny(
        "rwkv6", hidden_size=40, head_size=40, rescale_every=0, vocab_size=259
    ),
    "another norm of heads, halved each time": tiny(
        "rwkv6", hidden_size=64, head_size=16, rescale_every=1, head_size_divisor=1
    ),
}


def shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    h, n = config["hidden_size"], config["head_size"]
    inner = h // 2 * 7
    found: dict[str, tuple[int, ...]] = {
        "rwkv.embeddings.weight": (config["vocab_size"], h),
        "head.weight": (config["vocab_size"], h),
    }
    norms = ["rwkv.ln_out", "rwkv.blocks.0.pre_ln"]
    for block in range(config["num_hidden_layers"]):
        prefix = f"rwkv.blocks.{block}."
        norms += [prefix + name for name in ("ln1", "ln2", "attention.ln_x")]
        attention, mlp = f"{prefix}attention.", f"{prefix}feed_forward."
        found |= {f"{attention}time_maa_{part}": (1, 1, h) for part in ("x", *MIXED)}
        found |= {f"{mlp}time_maa_{part}": (1, 1, h) for part in "kr"}
        for part in ("receptance", "key", "value", "gate", "output"):
            found[f"{attention}{part}.weight"] = (h, h)
        found |= {
            f"{attention}time_maa_w1": (h, 160),
            f"{attention}time_maa_w2": (5, 32, h),
            f"{attention}time_decay": (1, 1, h),
            f"{attention}time_decay_w1": (h, 64),
            f"{attention}time_decay_w2": (64, h),
            f"{attention}time_faaaa": (h // n, n),
            f"{mlp}key.weight": (inner, h),
            f"{mlp}value.weight": (h, inner),
            f"{mlp}receptance.weight": (h, h),
        }
    for name in norms:
        found |= {f"{name}.weight": (h,), f"{name}.bias": (h,)}
    return found


def norm(x: Array, weights: Weights, name: str) -> Array:
    return layer_norm(x, weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-5)


def step(x: Array) -> Array:
    """From each token to the one before it."""
    return np.concatenate([np.zeros_like(x[:1]), x[:-1]]) - x


def attend(x: Array, w: Weights, config: Mapping[str, Any]) -> Array:
    n, delta = config["head_size"], step(x)
    first = np.tanh((x + delta * w["time_maa_x"][0]) @ w["time_maa_w1"])
    learnt = np.einsum("tgm,gmh->gth", first.reshape(len(x), 5, -1), w["time_maa_w2"])
    mixed = {
        part: x + delta * (w[f"time_maa_{part}"][0] + own)
        for part, own in zip(MIXED, learnt, strict=True)
    }
    decay = np.tanh(mixed["w"] @ w["time_decay_w1"]) @ w["time_decay_w2"]
    decay = np.exp(-np.exp(decay + w["time_decay"][0]))
    names = {"r": "receptance", "k": "key", "v": "value"}
    r, k, v = (linear(mixed[part], w, name) for part, name in names.items())
    r, k, v, decay = (each.reshape(len(x), -1, n) for each in (r, k, v, decay))
    state = np.zeros((r.shape[1], n, n))
    out = np.empty_like(r)
    for t in range(len(x)):
        new = k[t][:, :, None] * v[t][:, None]
        bonus = w["time_faaaa"][:, :, None] * new
        out[t] = np.einsum("hi,hij->hj", r[t], bonus + state)
        state = decay[t][:, :, None] * state + new
    epsilon = 1e-5 * config["head_size_divisor"] ** 2
    out = layer_norm(out, np.ones(n), np.zeros(n), epsilon).reshape(x.shape)
    out = out * w["ln_x.weight"] + w["ln_x.bias"]
    return linear(out * silu(linear(mixed["g"], w, "gate")), w, "output")


def feed_forward(x: Array, w: Weights) -> Array:
    delta = step(x)
    key = linear(x + delta * w["time_maa_k"][0], w, "key").clip(0) ** 2
    gate = linear(x + delta * w["time_maa_r"][0], w, "receptance")
    return linear(key, w, "value") / (1 + np.exp(-gate))


def logits(config: Mapping[str, Any], weights: Weights, tokens: Any) -> Array:
    body = layer(weights, "rwkv.")
    x = body["embeddings.weight"][list(tokens)].astype(np.float64)
    x = norm(x, body, "blocks.0.pre_ln")
    for block in range(config["num_hidden_layers"]):
        w = layer(body, f"blocks.{block}.")
        x = x + attend(norm(x, w, "ln1"), layer(w, "attention."), config)
        x = x + feed_forward(norm(x, w, "ln2"), layer(w, "feed_forward."))
    return linear(norm(x, body, "ln_out"), weights, "head")


@pytest.mark.parametrize("config", CASES.values(), ids=CASES)
@pytest.mark.parametrize("prefill", [1, 60])
def test_logits_are_those_of_numpy(
    config: dict[str, Any], prefill: int, compute: Compute
) -> None:
    found = compute(config, shapes(config), TEXT, prefill)
    expected = logits(config, random_weights(shapes(config)), TEXT)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model for three texts at a time, its library ``model.so``."""
    folder = tmp_path_factory.mktemp("rwkv6")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    save_file(random_weights(shapes(CONFIG)), folder / "model.safetensors")
    common = [str(folder), "--quantization", "q0f32", "-o", str(folder)]
    assert main(["convert_weight", *common]) == 0
    sizes = ["--prefill-chunk-size", "24", "--max-batch-size", "3"]
    assert main(["gen_config", *common, *sizes, "--conv-template", "LM"]) == 0
    library = str(folder / "model.so")
    assert main(["compile", str(folder), "--device", "cpu", "-o", library]) == 0
    return folder


@pytest.fixture
def model(folder: Path) -> LoadedModel:
    return LoadedModel(open_library(folder / "model.so", "cpu"), folder, 3, 0)


def test_texts_fed_together_have_the_logits_of_each_alone(model: LoadedModel) -> None:
    weights = random_weights(shapes(CONFIG))
    texts = {0: TEXT[:9], 1: TEXT[20:21], 2: TEXT[30:42]}
    expected = {n: logits(CONFIG, weights, [*text, 7, 8]) for n, text in texts.items()}
    close = {"rtol": 0, "atol": 1e-3}
    for n in texts:
        model.add(n)
    ends = [len(text) - 1 for text in texts.values()]
    found = model.forward("batch_prefill", texts)
    wanted = [rows[end] for rows, end in zip(expected.values(), ends, strict=True)]
    np.testing.assert_allclose(found, wanted, **close)
    # In another order, and one of them later than the others.
    found = model.forward("batch_decode", {2: [7], 0: [7]})
    np.testing.assert_allclose(found, [expected[2][-2], expected[0][-2]], **close)
    found = model.forward("batch_decode", {1: [7]})
    np.testing.assert_allclose(found, expected[1][-2:-1], **close)
    found = model.forward("batch_prefill", {0: [8], 1: [8], 2: [8]})
    np.testing.assert_allclose(found, [rows[-1] for rows in expected.values()], **close)
    # A place that was in use starts anew.
    model.remove(1)
    model.add(5)
    found = model.forward("batch_verify", {5: texts[0]})
    np.testing.assert_allclose(found, expected[0][:-2], **close)


def test_positions_that_are_not_the_ends_of_texts_are_refused(
    model: LoadedModel,
) -> None:
    model.add(0)
    with pytest.raises(MlcxError, match="batch_prefill failed"):
        model.forward("batch_prefill", {0: [1, 2, 3]}, [0, 1, 2])


def test_the_library_keeps_a_state_instead_of_a_cache(folder: Path) -> None:
    library = open_library(folder / "model.so", "cpu")
    metadata = json.loads(library.function("_metadata")())
    assert metadata["kv_state_kind"] == "rnn_state"
    assert metadata["context_window_size"] == -1
    assert "kv_cache" not in metadata
    with pytest.raises(InputError, match="no function create_tir_paged_kv_cache"):
        library.function("create_tir_paged_kv_cache")


def test_the_config_has_the_fields_of_the_format() -> None:
    config = Config.from_hf(CONFIG).to_dict()
    assert (
        list(config)
        == (
            "hidden_size intermediate_size num_hidden_layers vocab_size model_version "
            "tensor_parallel_shards rescale_every head_size layer_norm_epsilon "
            "context_window_size prefill_chunk_size num_heads max_batch_size "
            "head_size_divisor"
        ).split()
    )
    assert (config["intermediate_size"], config["num_heads"]) == (168, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_version": "5_2"}, "'model_version': expected '6_0', found '5_2'"),
        ({"head_size": 10}, "hidden_size must be a multiple of head_size"),
        ({"tie_word_embeddings": True}, "rwkv6 has a head of its own"),
        ({"rescale_every": -1}, "'rescale_every': expected a whole number from 1"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)
