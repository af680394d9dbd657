"""Checkpoints that are quantized already, written by the definitions of their formats.

A maker writes a folder as Hugging Face has it, and returns the weights that it stands
for, by the names of the unquantized ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from float8 import in_blocks
from numpy.typing import NDArray
from safetensors.numpy import save_file

from .numpy_llama import random_checkpoint

Array = NDArray[Any]

LLAMA = {
    "model_type": "llama",
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "vocab_size": 99,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-05,
    "rope_theta": 5000.0,
    "tie_word_embeddings": False,
}
QWEN3 = LLAMA | {
    "model_type": "qwen3",
    "attention_bias": False,
    "head_dim": 48,
    "hidden_act": "silu",
    "intermediate_size": 160,
}

GIVEN = {
    "q4f16_autoawq",
    "fp8_e4m3fn_bf16_block_scale",
    "fp8_e4m3fn_bf16_block_scale_static_activation",
}
"""Schemes for such checkpoints alone."""

GROUP = 128
AWQ = {
    "quant_method": "awq",
    "bits": 4,
    "group_size": GROUP,
    "zero_point": True,
    "version": "gemm",
}
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": False}
BLOCK = (32, 64)
"""Not all columns come in whole blocks."""
FP8 = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": list(BLOCK)}


def write_awq(folder: Path, *, as_gptq: bool = False) -> dict[str, Array]:
    """Write a Llama in codes of 4 bits, as AutoAWQ or as GPTQ has them."""
    tensors, meant = {}, {}
    random = np.random.default_rng(3)
    for name, weight in random_checkpoint(LLAMA, seed=5).items():
        module = name.removesuffix("weight")
        if "_proj" not in name:
            tensors[name] = weight.astype(np.float16)
            meant[name] = weight
            continue
        n, k = weight.shape
        codes = random.integers(0, 16, (k, n))
        zeros = random.integers(5, 11, (k // GROUP, n))
        scales = (random.uniform(0.1, 0.3, zeros.shape) / k**0.5).astype(np.float16)
        pack = _gptq_words if as_gptq else _awq_words
        qweight, qzeros = pack(codes, zeros)
        parts = {"qweight": qweight, "qzeros": qzeros, "scales": scales}
        if as_gptq:
            parts["g_idx"] = (np.arange(k) // GROUP).astype(np.int32)
        tensors |= {module + part: array for part, array in parts.items()}
        wide = (np.repeat(each, GROUP, axis=0) for each in (zeros, scales))
        zeros, factors = wide
        halves = (codes - zeros).astype(np.float16) * factors
        meant[name] = halves.T.astype(np.float32)
    _write(folder, LLAMA | {"quantization_config": GPTQ if as_gptq else AWQ}, tensors)
    return meant


def _awq_words(codes: Array, zeros: Array) -> tuple[Array, Array]:
    shifts = np.array([0, 16, 4, 20, 8, 24, 12, 28])
    packed = (each.reshape(len(each), -1, 8) << shifts for each in (codes, zeros))
    a, b = (each.sum(axis=2).astype(np.uint32).view(np.int32) for each in packed)
    return a, b


def _gptq_words(codes: Array, zeros: Array) -> tuple[Array, Array]:
    shifts = 4 * np.arange(8)
    rows = codes.reshape(-1, 8, codes.shape[1]) << shifts[:, None]
    columns = (zeros - 1).reshape(len(zeros), -1, 8) << shifts
    a = rows.sum(axis=1).astype(np.uint32).view(np.int32)
    return a, columns.sum(axis=2).astype(np.uint32).view(np.int32)


def write_fp8(
    folder: Path, activation: Callable[[str], float] | None = None
) -> dict[str, Array]:
    """Write a Qwen 3 in 8-bit floats with scales of blocks.

    ``activation`` gives the scale of activations by the name of a weight, if any.
    """
    config = QWEN3 | {"quantization_config": FP8}
    plain = random_checkpoint(config, seed=5)
    random = np.random.default_rng(4)
    for n in range(config["num_hidden_layers"]):
        for part in "qk":
            norm = random.integers(64, 192, config["head_dim"]) / 128
            plain[f"model.layers.{n}.self_attn.{part}_norm.weight"] = norm
    tensors, meant = {}, {}
    for name, weight in plain.items():
        if "_proj" not in name:
            tensors[name] = weight.astype(ml_dtypes.bfloat16)
            meant[name] = tensors[name].astype(np.float32)
            continue
        stored, scales, meant[name] = in_blocks(weight, BLOCK, random)
        tensors |= {name: stored, f"{name}_scale_inv": scales}
        if activation is not None:
            scale = np.full(scales.shape[1], activation(name), np.float32)
            tensors[name.removesuffix("weight") + "activation_scale"] = scale
    _write(folder, config, tensors)
    return meant


def _write(folder: Path, config: Mapping[str, Any], tensors: dict[str, Array]) -> None:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors")
