"""Logits that transformers computed, where that data lies beside the checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlcx.__main__ import main

from .conftest import Build

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
CHECKPOINTS = ("llama_gqa", "llama_tied_rope3")

pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason="no golden data")


def logits_of(
    build: Build,
    output: Path,
    checkpoint: str,
    quantization: str,
    tokens: Any,
    *options: str,
) -> Any:
    """Run the verb and return the arrays that it wrote."""
    files = build(GOLDEN / checkpoint / "hf", quantization)
    command = ["logits", str(files.directory), "--model-lib", str(files.library)]
    command += ["--tokens", ",".join(map(str, tokens)), "--greedy", "16", *options]
    file = output / "logits.npz"
    assert main([*command, "-o", str(file)]) == 0
    return arrays(file)


def arrays(file: Path) -> dict[str, Any]:
    """Return all arrays of a file by name."""
    with np.load(file) as found:
        return dict(found)


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
@pytest.mark.parametrize("prefill", [1, 7, 12])
def test_prefill_then_decode_compute_the_reference_logits(
    checkpoint: str, prefill: int, build: Build, tmp_path: Path
) -> None:
    reference = arrays(GOLDEN / checkpoint / "ref.npz")
    options = ("--prefill", str(prefill))
    tokens = reference["input_ids"]
    found = logits_of(build, tmp_path, checkpoint, "q0f32", tokens, *options)
    assert found["logits"].dtype == np.float32
    np.testing.assert_allclose(found["logits"], reference["logits"], rtol=0, atol=1e-3)
    assert found["greedy"].tolist() == reference["greedy_tokens"].tolist()


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
@pytest.mark.parametrize("function", ["batch_prefill", "batch_verify"])
def test_the_batch_functions_compute_the_reference_logits(
    checkpoint: str, function: str, build: Build, tmp_path: Path
) -> None:
    reference = arrays(GOLDEN / checkpoint / "ref.npz")
    options = ("--prefill", "8", "--function", function)
    tokens = reference["input_ids"]
    found = logits_of(build, tmp_path, checkpoint, "q0f32", tokens, *options)
    np.testing.assert_allclose(found["logits"], reference["logits"], rtol=0, atol=1e-3)
    assert found["greedy"].tolist() == reference["greedy_tokens"].tolist()


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_a_prompt_of_several_chunks_computes_the_reference_logits(
    checkpoint: str, build: Build, tmp_path: Path
) -> None:
    reference = arrays(GOLDEN / checkpoint / "ref.npz")
    tokens = reference["long_input_ids"]
    found = logits_of(build, tmp_path, checkpoint, "q0f32", tokens)
    last = reference["long_logits_last"]
    np.testing.assert_allclose(found["logits"][-1], last, rtol=0, atol=1e-3)
    assert found["greedy"].tolist() == reference["long_greedy_tokens"].tolist()


@pytest.mark.parametrize(
    ("checkpoint", "quantization", "prefix"),
    [
        ("llama_gqa", "q0f16", ""),
        ("llama_gqa", "q4f16_1", "q4f16_1_"),
        ("llama_gqa", "q3f16_1", "q3f16_1_"),
        ("llama_tied_rope3", "q4f16_1", "q4f16_1_"),
        # Transposed, a weight of float16 has the same codes and scales.
        ("llama_tied_rope3", "q4f16_0", "q4f16_1_"),
        ("llama_tied_rope3", "q3f16_1", "q3f16_1_"),
    ],
)
def test_half_precision_follows_the_reference_of_its_weights(
    checkpoint: str, quantization: str, prefix: str, build: Build, tmp_path: Path
) -> None:
    reference = arrays(GOLDEN / checkpoint / "ref.npz")
    tokens = reference["input_ids"]
    found = logits_of(build, tmp_path, checkpoint, quantization, tokens)
    assert found["greedy"].tolist() == reference[f"{prefix}greedy_tokens"].tolist()
    last = reference[f"{prefix}logits_last"]
    np.testing.assert_allclose(found["logits"][-1], last, rtol=0, atol=0.1)
