"""Checkpoints of a shape of Llama, with random weights or with none at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

__all__ = ["DTYPES", "write_checkpoint"]

DTYPES = {"float16": "F16", "bfloat16": "BF16", "float32": "F32"}
_FIXED = {"model_type": "llama", "max_position_embeddings": 2048, "rms_norm_eps": 1e-5}
_POOL = 1 << 22
"""Random weights that are repeated."""


def write_checkpoint(
    folder: Path, shape: Mapping[str, int], dtype: str, *, sparse: bool = False
) -> Path:
    """Write a checkpoint and its config; return the file of the weights.

    Args:
        folder: Where to.
        shape: Fields of the config.
        dtype: Of all weights, a key of ``DTYPES``.
        sparse: Let all weights be a hole in the file, which reads as zeros.
    """
    (folder / "config.json").write_text(json.dumps({**_FIXED, **shape}))
    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    header: dict[str, Any] = {}
    size = 0
    for name, sizes in _tensors(shape):
        end = size + int(np.prod(sizes)) * kind.itemsize
        header[name] = {"dtype": DTYPES[dtype], "shape": sizes}
        header[name]["data_offsets"] = [size, end]
        size = end
    text = json.dumps(header).encode()
    path = folder / "model.safetensors"
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        if sparse:
            file.truncate(8 + len(text) + size)
            return path
        random = np.random.default_rng(0).standard_normal(_POOL, np.float32)
        pool = (random * np.float32(0.02)).astype(kind).tobytes()
        for start in range(0, size, len(pool)):
            file.write(pool[: size - start])
        file.flush()
        os.fsync(file.fileno())
    return path


def _tensors(shape: Mapping[str, int]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the name and shape of every tensor, sorted."""
    hidden, inner = shape["hidden_size"], shape["intermediate_size"]
    keys = hidden // shape["num_attention_heads"] * shape["num_key_value_heads"]
    yield "lm_head.weight", (shape["vocab_size"], hidden)
    yield "model.embed_tokens.weight", (shape["vocab_size"], hidden)
    for layer in sorted(map(str, range(shape["num_hidden_layers"]))):
        prefix = f"model.layers.{layer}."
        yield f"{prefix}input_layernorm.weight", (hidden,)
        yield f"{prefix}mlp.down_proj.weight", (hidden, inner)
        yield f"{prefix}mlp.gate_proj.weight", (inner, hidden)
        yield f"{prefix}mlp.up_proj.weight", (inner, hidden)
        yield f"{prefix}post_attention_layernorm.weight", (hidden,)
        for part, rows in (("k", keys), ("o", hidden), ("q", hidden), ("v", keys)):
            yield f"{prefix}self_attn.{part}_proj.weight", (rows, hidden)
    yield "model.norm.weight", (hidden,)
