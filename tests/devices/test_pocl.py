"""GPU libraries, run on this machine, held to what transformers computes.

The library is the one for the device ``opencl``, whole and as it ships; its kernels are
compiled by PoCL, an OpenCL for CPUs (see `tests.support.pocl`). PoCL has no float16, so
that weights and activations are float32 here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlcx.runtime.device import LoadedModel, open_library
from mlcx.runtime.logits import greedy, trace

from ..models import references
from ..support.pocl import opencl

pytestmark = pytest.mark.timeout(1800)

Load = Callable[[str, str, str], Callable[[], LoadedModel]]

LARGEST = 1e-3
"""Difference of a logit."""

QUANTIZED = ("q4f32_1", "q8f32_1")
"""Schemes whose weights kernels dequantize, into float32."""

ALWAYS = {("llama", "q0f32")}
"""Models tried always; a library takes half a minute."""


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Return a function from a model to one that opens it with an empty cache."""
    with opencl():

        def opened(name: str, case: str, scheme: str) -> Callable[[], LoadedModel]:
            references.build(tmp_path, name, case, scheme, "opencl")
            library = open_library(tmp_path / "model.so", "opencl")
            return lambda: LoadedModel(library, tmp_path / "model", 4, 128)

        yield opened


def every_case() -> Iterator[Any]:
    for name in references.families():
        cases = references.family(name)
        for case in cases.cases:
            quick = (name, "q0f32") in ALWAYS and case == cases.first
            marks = () if quick else (pytest.mark.slow,)
            yield pytest.param(name, case, marks=marks, id=f"{name}: {case}")


@pytest.mark.parametrize(("name", "case"), list(every_case()))
def test_a_gpus_logits_are_those_of_transformers(
    name: str, case: str, load: Load
) -> None:
    """At once, in chunks of 24 and one by one, and then what is likeliest."""
    expected = references.logits(name, case, "q0f32")
    tokens = references.text(references.family(name).cases[case]["vocab_size"])
    model = load(name, case, "q0f32")
    for prefilled, path in ((60, "prefill"), (24, "batch_prefill"), (1, "prefill")):
        here = model()
        found = trace(here, tokens, prefilled, path)
        difference = abs(found[list(references.POSITIONS)] - expected["logits"]).max()
        assert difference < LARGEST, f"{path} of {prefilled}"
        follows = greedy(here, found[-1], len(expected["greedy"]), path)
        assert follows.tolist() == expected["greedy"].tolist()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", QUANTIZED)
@pytest.mark.parametrize("name", references.families())
def test_a_gpus_quantized_logits_are_those_of_the_dequantized_weights(
    name: str, scheme: str, load: Load
) -> None:
    case = references.family(name).first
    expected = references.logits(name, case, scheme)
    tokens = references.text(references.family(name).cases[case]["vocab_size"])
    found = trace(load(name, case, scheme)(), tokens, 24, "prefill")
    difference = abs(found[list(references.POSITIONS)] - expected["logits"]).max()
    assert difference < LARGEST
