"""Random checkpoints of tiny configs, and what their compiled libraries compute."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from mlcx.__main__ import main

TINY = Path(__file__).parents[1] / "tiny"
TEXT = [int(n) for n in np.random.default_rng(7).integers(0, 99, 60)]

Shapes = Mapping[str, tuple[int, ...]]
Compute = Callable[..., NDArray[np.float32]]


def tiny(name: str, **changes: Any) -> dict[str, Any]:
    """Return the tiny config of an architecture, with some fields changed."""
    config: dict[str, Any] = json.loads((TINY / f"{name}.json").read_text())
    return config | changes


def random_weights(shapes: Shapes, seed: int = 5) -> dict[str, NDArray[np.float32]]:
    """Return matrices that keep what they multiply in size, and vectors around 0.5.

    All are exact in bfloat16, which float32 weights are stored as, and so are the
    vectors' sums with 1.
    """
    random = np.random.default_rng(seed)
    return {
        name: (
            random.normal(size=shape) / shape[-1] ** 0.5
            if len(shape) == 2
            else random.integers(0, 128, shape) / 128
        )
        .astype(ml_dtypes.bfloat16)
        .astype(np.float32)
        for name, shape in shapes.items()
    }


@pytest.fixture(scope="session")
def compute(tmp_path_factory: pytest.TempPathFactory) -> Compute:
    """Return logits of a text at q0f32, of which the first ``prefill`` at once."""

    @cache
    def built(text: str, shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> Path:
        folder = tmp_path_factory.mktemp("tiny")
        (folder / "config.json").write_text(text)
        save_file(random_weights(dict(shapes)), folder / "model.safetensors")
        common = [str(folder), "--quantization", "q0f32", "-o", str(folder / "model")]
        assert main(["convert_weight", *common]) == 0
        chunk = ["--prefill-chunk-size", "24", "--conv-template", "LM"]
        assert main(["gen_config", *common, *chunk]) == 0
        command = ["compile", str(folder / "model"), "--device", "cpu"]
        assert main([*command, "-o", str(folder / "model.so")]) == 0
        return folder

    def logits(
        config: Mapping[str, Any], shapes: Shapes, tokens: Sequence[int], prefill: int
    ) -> NDArray[np.float32]:
        folder = built(json.dumps(config), tuple(shapes.items()))
        command = ["logits", str(folder / "model"), "--prefill", str(prefill)]
        command += ["--model-lib", str(folder / "model.so"), "--tokens"]
        output = folder / f"{prefill}.npz"
        assert main([*command, ",".join(map(str, tokens)), "-o", str(output)]) == 0
        with np.load(output) as arrays:
            found: NDArray[np.float32] = arrays["logits"]
        return found

    return logits
