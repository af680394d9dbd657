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
from mlcx.quant.group import GroupPacking, GroupScheme
from mlcx.quant.packing import Layer, Role
from mlcx.quant.plain import PlainScheme
from mlcx.quant.scheme import SCHEMES, scheme

from . import references

TINY = Path(__file__).parents[1] / "tiny"
TEXT = [int(n) for n in np.random.default_rng(7).integers(0, 99, 60)]
WIDE_TEXT = [int(n) for n in np.random.default_rng(7).integers(0, 259, 60)]

LARGEST = {"float32": 1e-3, "float16": 0.02, "bfloat16": 8 * 0.02}
"""Difference of a logit, by the dtype that the library computes in: numbers of bfloat16
have 8 bits where float16 has 11, so that it rounds 8 times as coarsely.
"""

QUANTIZED = tuple(
    each.name
    for each in SCHEMES.values()
    if isinstance(each, GroupScheme | PlainScheme) and each.name != "q0f32"
)
"""What architectures that transformers does not have are tried in, beside q0f32."""

Shapes = Mapping[str, tuple[int, ...]]
Compute = Callable[..., NDArray[np.float32]]
Build = Callable[[Mapping[str, Any], Shapes, str], Path]
Record = Callable[[str, str, str, float], None]
"""Of what the tests of all packages note for the table of comparisons."""


def tiny(name: str, **changes: Any) -> dict[str, Any]:
    """Return a tiny config of an architecture, with some fields changed.

    That is the first of its references, unless its tests need another.
    """
    path = TINY / f"{name}.json"
    if path.exists():
        config: dict[str, Any] = json.loads(path.read_text())
    else:
        cases = references.family(name)
        config = cases.cases[cases.first]
    return config | changes


def random_weights(shapes: Shapes, seed: int = 5) -> dict[str, NDArray[np.float32]]:
    """Return matrices that keep what they multiply in size, and vectors around 0.5.

    Biases are around 0, so that no token is always the likeliest. All are exact in
    bfloat16, which float32 weights are stored as, and so are the vectors' sums with 1.
    """
    random = np.random.default_rng(seed)
    return {
        name: (
            random.normal(size=shape) / shape[-1] ** 0.5
            if len(shape) == 2
            else random.integers(0, 128, shape) / 128 - name.endswith("bias") / 2
        )
        .astype(ml_dtypes.bfloat16)
        .astype(np.float32)
        for name, shape in shapes.items()
    }


def stand_for(weights: Mapping[str, Any], quantization: str) -> dict[str, Any]:
    """Return the values that ``weights`` have once quantized, in groups or not at all.

    Embeddings have that in their names; stacks of experts there are none.
    """
    chosen = scheme(quantization)
    found = dict(weights)
    for name, weight in weights.items():
        role: Role = "embedding" if "embed" in name else "linear"
        layer = Layer(name.removesuffix(".weight"), role, weight.shape)
        if weight.ndim != 2 or layer.name == name:
            continue
        packing = chosen.packing(layer)
        if isinstance(packing, GroupPacking):
            packed = packing.pack(weight.astype(packing.model_dtype))
            found[name] = packing.unpack(packed, weight.shape[-1]).astype(np.float32)
    return found


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return a folder with ``model`` and ``model.so``, of random weights."""

    @cache
    def built(
        text: str, shapes: tuple[tuple[str, tuple[int, ...]], ...], quantization: str
    ) -> Path:
        folder = tmp_path_factory.mktemp("tiny")
        (folder / "config.json").write_text(text)
        save_file(random_weights(dict(shapes)), folder / "model.safetensors")
        common = [str(folder), "--quantization", quantization]
        common += ["-o", str(folder / "model")]
        assert main(["convert_weight", *common, "--float32", "raw"]) == 0
        chunk = ["--prefill-chunk-size", "24", "--conv-template", "LM"]
        assert main(["gen_config", *common, *chunk]) == 0
        command = ["compile", str(folder / "model"), "--device", "cpu"]
        assert main([*command, "-o", str(folder / "model.so")]) == 0
        return folder

    return lambda config, shapes, quantization: built(
        json.dumps(config), tuple(shapes.items()), quantization
    )


@pytest.fixture(scope="session")
def compute(build: Build) -> Compute:
    """Return logits of a text at q0f32, of which the first ``prefill`` at once."""

    def logits(
        config: Mapping[str, Any], shapes: Shapes, tokens: Sequence[int], prefill: int
    ) -> NDArray[np.float32]:
        folder = build(config, shapes, "q0f32")
        options = ["--prefill", str(prefill)]
        return traced(folder, tokens, f"{prefill}.npz", *options)["logits"]

    return logits


def greedy(logits: Callable[[list[int]], NDArray[Any]], text: list[int]) -> list[int]:
    """Return what follows ``text`` when each token is the likeliest, 16 of them."""
    found = list(text)
    for _ in range(16):
        found.append(int(logits(found)[-1].argmax()))
    return found[len(text) :]


def traced(
    folder: Path, tokens: Sequence[int], name: str, *options: str
) -> dict[str, NDArray[Any]]:
    """Return what ``mlcx logits`` writes."""
    command = ["logits", str(folder / "model"), "--model-lib"]
    command += [str(folder / "model.so"), "--tokens", ",".join(map(str, tokens))]
    assert main([*command, *options, "-o", str(folder / name)]) == 0
    with np.load(folder / name) as arrays:
        return dict(arrays)
