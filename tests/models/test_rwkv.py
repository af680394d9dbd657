"""RWKV's versions: logits and states against numpy, of texts alone and together."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tvm_ffi
from safetensors.numpy import save_file

from mlcx.__main__ import main
from mlcx.errors import InputError, MlcxError
from mlcx.quant.scheme import scheme
from mlcx.runtime.device import LoadedModel, open_library

from . import test_rwkv5, test_rwkv6
from .conftest import (
    LARGEST,
    QUANTIZED,
    TEXT,
    Record,
    greedy,
    random_weights,
    stand_for,
    traced,
)
from .reference import Array
from .rwkv_like import run, shapes

MODULES = {"rwkv5": test_rwkv5, "rwkv6": test_rwkv6}
Build = Callable[..., "Built"]


@dataclass(frozen=True)
class Built:
    """A model for three texts at a time, its library ``model.so``."""

    name: str
    case: str
    folder: Path
    weights: dict[str, Any]

    @property
    def config(self) -> dict[str, Any]:
        config: dict[str, Any] = MODULES[self.name].CASES[self.case]
        return config

    def expected(self, tokens: list[int]) -> tuple[Array, list[list[Array]]]:
        """Return logits and states in numpy."""
        return run(MODULES[self.name].VERSION, self.config, self.weights, tokens)

    def logits(self, tokens: list[int]) -> Array:
        return self.expected(tokens)[0]

    def loaded(self) -> LoadedModel:
        library = open_library(self.folder / "model.so", "cpu")
        return LoadedModel(library, self.folder / "model", 3, 0)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return what builds a case of a version, by default the first, each once."""

    @cache
    def built(name: str, case: str, quantization: str) -> Built:
        module, folder = MODULES[name], tmp_path_factory.mktemp(name)
        config = module.CASES[case]
        inner = module.Config.from_hf(config).intermediate_size
        noise = random_weights(shapes(module.VERSION, config, inner))
        weights = {key: module.as_trained(key, each) for key, each in noise.items()}
        (folder / "config.json").write_text(json.dumps(config))
        save_file(weights, folder / "model.safetensors")
        common = [str(folder), "--quantization", quantization]
        common += ["-o", str(folder / "model")]
        assert main(["convert_weight", *common, "--float32", "raw"]) == 0
        sizes = ["--prefill-chunk-size", "24", "--max-batch-size", "3"]
        assert main(["gen_config", *common, *sizes, "--conv-template", "LM"]) == 0
        command = ["compile", str(folder / "model"), "--device", "cpu"]
        assert main([*command, "-o", str(folder / "model.so")]) == 0
        return Built(name, case, folder, stand_for(weights, quantization))

    def first(name: str, case: str = "", quantization: str = "q0f32") -> Built:
        return built(name, case or next(iter(MODULES[name].CASES)), quantization)

    return first


def every_case() -> list[Any]:
    """Return all; only the first of a version is not slow."""
    return [
        pytest.param(name, case, marks=[pytest.mark.slow] if n else [])
        for name, module in MODULES.items()
        for n, case in enumerate(module.CASES)
    ]


each = pytest.mark.parametrize("name", MODULES)
CLOSE = {"rtol": 0, "atol": 1e-4}


@pytest.mark.parametrize(("name", "case"), every_case())
def test_logits_are_those_of_numpy(
    name: str, case: str, build: Build, record: Record
) -> None:
    built = build(name, case)
    expected = built.logits(TEXT)
    for prefill in ("1", "24", "60"):
        options = ("--prefill", prefill)
        found = traced(built.folder, TEXT, "logits.npz", *options)["logits"]
        record(name, "q0f32", "logits", abs(found - expected).max())
        np.testing.assert_allclose(found, expected, **CLOSE)


@each
def test_a_text_goes_on_as_in_numpy(name: str, build: Build) -> None:
    built = build(name)
    found = traced(built.folder, TEXT[:20], "greedy.npz", "--greedy", "16")
    assert found["greedy"].tolist() == greedy(built.logits, TEXT[:20])


@pytest.mark.slow
@pytest.mark.parametrize("quantization", QUANTIZED)
@each
def test_quantized_logits_are_those_of_the_dequantized_weights(
    name: str, quantization: str, build: Build, record: Record
) -> None:
    built = build(name, quantization=quantization)
    expected = built.logits(TEXT)
    for prefill in ("1", "60"):
        options = ("--prefill", prefill)
        found = traced(built.folder, TEXT, "logits.npz", *options)["logits"]
        difference = abs(found - expected).max()
        record(name, quantization, "logits", difference)
        assert difference < LARGEST[scheme(quantization).model_dtype]


@each
def test_texts_fed_together_have_the_logits_and_states_of_each_alone(
    name: str, build: Build
) -> None:
    built = build(name)
    model = built.loaded()
    texts = {0: TEXT[:9], 1: TEXT[20:21], 2: TEXT[30:42]}
    expected = {n: built.logits([*text, 7, 8]) for n, text in texts.items()}
    for n in texts:
        model.add(n)
    ends = [len(text) - 1 for text in texts.values()]
    found = model.forward("batch_prefill", texts)
    wanted = [rows[end] for rows, end in zip(expected.values(), ends, strict=True)]
    np.testing.assert_allclose(found, wanted, **CLOSE)
    for n, text in texts.items():
        check_states(model, n, built.expected(text)[1])
    # In another order, and one of them later than the others.
    found = model.forward("batch_decode", {2: [7], 0: [7]})
    np.testing.assert_allclose(found, [expected[2][-2], expected[0][-2]], **CLOSE)
    found = model.forward("batch_decode", {1: [7]})
    np.testing.assert_allclose(found, expected[1][-2:-1], **CLOSE)
    found = model.forward("batch_prefill", {0: [8], 1: [8], 2: [8]})
    np.testing.assert_allclose(found, [rows[-1] for rows in expected.values()], **CLOSE)
    for n, text in texts.items():
        check_states(model, n, built.expected([*text, 7, 8])[1])
    # A place that was in use starts anew.
    model.remove(1)
    model.add(5)
    found = model.forward("batch_verify", {5: texts[0]})
    np.testing.assert_allclose(found, expected[0][:-2], **CLOSE)


def check_states(
    model: LoadedModel, sequence: int, expected: list[list[Array]]
) -> None:
    read = tvm_ffi.get_global_func("vm.builtin.rnn_state_debug_get")
    for layer, states in enumerate(expected):
        for index, wanted in enumerate(states):
            found = read(model._state, layer, index, sequence)
            values = np.from_dlpack(found).reshape(wanted.shape)
            np.testing.assert_allclose(values, wanted, **CLOSE)


@each
def test_positions_that_are_not_the_ends_of_texts_are_refused(
    name: str, build: Build
) -> None:
    model = build(name).loaded()
    model.add(0)
    with pytest.raises(MlcxError, match="batch_prefill failed"):
        model.forward("batch_prefill", {0: [1, 2, 3]}, [0, 1, 2])


@each
def test_the_library_keeps_a_state_instead_of_a_cache(name: str, build: Build) -> None:
    library = open_library(build(name).folder / "model.so", "cpu")
    metadata = json.loads(library.function("_metadata")())
    assert metadata["kv_state_kind"] == "rnn_state"
    assert metadata["context_window_size"] == -1
    assert "kv_cache" not in metadata
    states = metadata["rnn_state"]["states"]
    # As MLC's: the input of the attention, its state, the input of the feed-forward.
    assert [len(each["shape"]) for each in states] == [1, 3, 1]
    assert states[1]["dtype"] == "float32"
    with pytest.raises(InputError, match="no function create_tir_paged_kv_cache"):
        library.function("create_tir_paged_kv_cache")
