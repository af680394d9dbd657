"""A shape of Llama with random weights, made as MLC's format stores them.

At q4f16_1: groups of 32 four-bit codes with a float16 scale each, 4.5 bits a weight.
Scales are such that activations stay ordinary numbers; what it says means nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["EPSILON", "SCALE", "SHAPE", "THETA", "write_config", "write_weights"]

SHAPE = {
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "num_hidden_layers": 22,
    "vocab_size": 32000,
    "max_position_embeddings": 2048,
}
"""TinyLlama 1.1B."""

EPSILON, THETA = 1e-5, 10000.0
SCALE = 0.004
"""Times codes of a standard deviation of 4.6, about 1 / sqrt(hidden_size)."""


def write_config(folder: Path) -> Path:
    """Write the Hugging Face configuration of the shape."""
    common = {"model_type": "llama", "rms_norm_eps": EPSILON, "rope_theta": THETA}
    file = folder / "config.json"
    file.write_text(json.dumps({**common, **SHAPE}))
    return file


def write_weights(
    folder: Path, parameters: Mapping[str, tuple[tuple[int, ...], str]]
) -> None:
    """Write ``parameters``, name to shape and dtype, one shard each."""
    random = np.random.default_rng(1)
    records = []
    for index, (name, (shape, dtype)) in enumerate(parameters.items()):
        data = _values(random, name, shape, dtype)
        path = f"params_shard_{index}.bin"
        data.tofile(folder / path)
        tensor = {"name": name, "shape": shape, "dtype": dtype, "format": "raw"}
        tensor |= {"nbytes": data.nbytes, "byteOffset": 0}
        shard = {"dataPath": path, "format": "raw-shard", "nbytes": data.nbytes}
        records.append({**shard, "records": [tensor]})
    index_text = json.dumps({"metadata": {}, "records": records})
    (folder / "tensor-cache.json").write_text(index_text)


def _values(
    random: np.random.Generator, name: str, shape: tuple[int, ...], dtype: str
) -> NDArray[np.uint32] | NDArray[np.float16]:
    if dtype == "uint32":
        count = 4 * math.prod(shape)
        return np.frombuffer(random.bytes(count), np.uint32).reshape(shape)
    if dtype != "float16":
        raise SystemExit(f"{name}: no rule for {dtype}")
    return np.full(shape, SCALE if name.endswith("q_scale") else 1.0, np.float16)
