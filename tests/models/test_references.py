"""Every architecture in every quantization against transformers, on tiny models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlcx.architectures import ARCHITECTURES
from mlcx.quant.scheme import SCHEMES

from . import references
from .conftest import LARGEST, Record, traced
from .references import (
    LENGTH,
    POSITIONS,
    SAME_WEIGHTS,
    families,
    family,
    text,
)

Build = Callable[[str, str, str], Path]

ELSEWHERE = {"internlm2", "mixformer-sequential", "moss", "phi-msft", "rwkv5", "rwkv6"}
"""Not in transformers: MOSS is as CodeGen, Phi's older checkpoints are as newer ones;
tests of the others compute the reference.
"""

ALWAYS = {"gpt2", "mixtral"}
"""In 4 bits these are tried always: they differ most in how matrices are stored from
llama, of which every quantization is tried elsewhere.
"""


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return a folder with ``model`` and ``model.so``, each built once."""

    @cache
    def built(name: str, case: str, quantization: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        references.build(folder, name, case, quantization)
        return folder

    return built


def every_case() -> Iterator[Any]:
    """Return all; only the first of an architecture is not slow."""
    for name in families():
        cases = family(name)
        for case in cases.cases:
            marks = () if case == cases.first else (pytest.mark.slow,)
            yield pytest.param(name, case, marks=marks, id=f"{name}: {case}")


def every_quantization() -> Iterator[Any]:
    """Return all that there are references of; of few architectures one is not slow."""
    for name in families():
        stored = family(name).arrays()
        for scheme in SCHEMES.values():
            weights = SAME_WEIGHTS.get(scheme.name, scheme.name)
            if f"{family(name).first}/{weights}/logits" not in stored:
                continue
            quick = name in ALWAYS and scheme.name == "q4f16_1"
            marks = () if quick else (pytest.mark.slow,)
            if scheme.name != "q0f32":
                yield pytest.param(name, scheme.name, marks=marks)


@pytest.mark.parametrize(("name", "case"), list(every_case()))
def test_logits_are_those_of_transformers(
    name: str, case: str, build: Build, record: Record
) -> None:
    """In chunks of 24 tokens, with all after the first chunk one by one, and so all."""
    folder, expected = (
        build(name, case, "q0f32"),
        references.logits(name, case, "q0f32"),
    )
    tokens = text(family(name).cases[case]["vocab_size"])
    for prefill in (LENGTH, 24, 1):
        options = ("--prefill", str(prefill), "--greedy", str(len(expected["greedy"])))
        found = traced(folder, tokens, f"{prefill}.npz", *options)
        difference = abs(found["logits"][list(POSITIONS)] - expected["logits"]).max()
        record(name, "q0f32", "logits", difference)
        assert difference < LARGEST["float32"], f"prefill {prefill}"
        assert found["greedy"].tolist() == expected["greedy"].tolist()


@pytest.mark.parametrize(("name", "quantization"), list(every_quantization()))
def test_quantized_logits_are_those_of_the_dequantized_weights(
    name: str, quantization: str, build: Build, record: Record
) -> None:
    """In chunks of 24 tokens, and one by one."""
    case = family(name).first
    expected = references.logits(name, case, quantization)
    folder = build(name, case, quantization)
    tokens = text(family(name).cases[case]["vocab_size"])
    largest = largest_difference(name, SCHEMES[quantization].model_dtype)
    # Where the reference hardly prefers a token, the text may go on otherwise.
    close = np.append(expected["margins"] < 2 * largest, True)
    sure = int(close.argmax())
    for prefill in (LENGTH, 1):
        options = ("--prefill", str(prefill), "--greedy", str(len(expected["greedy"])))
        found = traced(folder, tokens, f"{prefill}.npz", *options)
        difference = abs(found["logits"][list(POSITIONS)] - expected["logits"]).max()
        record(name, quantization, "logits", difference)
        assert difference < largest, f"prefill {prefill}"
        assert found["greedy"][:sure].tolist() == expected["greedy"][:sure].tolist()


def largest_difference(name: str, dtype: str) -> float:
    """Return by how much a logit may differ in a library that computes in ``dtype``.

    In 16 bits that is twice as much as transformers' own do, when it computes in them.
    """
    exact = dtype == "float32"
    return LARGEST[dtype] if exact else 2 * references.rounding(name, dtype)


def test_every_architecture_has_references() -> None:
    assert set(ARCHITECTURES) - ELSEWHERE == set(families())
