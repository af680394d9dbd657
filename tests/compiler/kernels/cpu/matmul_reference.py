"""Random weights in every format, and their products in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from tvm.target import Target
from tvm.target.codegen import llvm_get_system_triple, target_has_features

from mlcx.compiler.kernels.cpu.matmul import matmul, serves_any
from mlcx.compiler.kernels.cpu.weights import (
    Float8,
    GroupQuantized,
    Plain,
    WeightFormat,
    WordsOfColumns,
)
from mlcx.quant.awq import SHIFTS as AWQ_SHIFTS
from mlcx.quant.plain import dtype_named

from .target_kernel import HOST, NARROW, build_for

FORMATS = {
    "q4f16": (GroupQuantized(4, 32, "float16"), "float16"),
    "q4f32": (GroupQuantized(4, 32, "float32"), "float32"),
    "q3f16": (GroupQuantized(3, 40, "float16"), "float16"),
    "q4f16_kn": (GroupQuantized(4, 32, "float16", transposed=True), "float16"),
    "q3f16_kn": (GroupQuantized(3, 40, "float16", transposed=True), "float16"),
    "q4bf16": (GroupQuantized(4, 32, "bfloat16"), "bfloat16"),
    "q8f16": (GroupQuantized(8, 32, "float16"), "float16"),
    "q8f32": (GroupQuantized(8, 32, "float32"), "float32"),
    "q8bf16": (GroupQuantized(8, 32, "bfloat16"), "bfloat16"),
    "f16": (Plain("float16"), "float16"),
    "bf16": (Plain("bfloat16"), "bfloat16"),
    "f32": (Plain("float32"), "float32"),
}
"""Name of a format and of the dtype of the activations that go with it."""

FLOAT8 = {
    "e5m2": (Float8("float8_e5m2"), "float16"),
    "e4m3": (Float8("float8_e4m3fn", scaled=True), "float16"),
    "e4m3 blocks": (Float8("float8_e4m3fn", True, 128, 64), "bfloat16"),
    "e4m3 odd blocks": (Float8("float8_e4m3fn", True, 50, 12), "bfloat16"),
}
"""Formats of 8-bit floats."""

COLUMNS = {
    "awq": (WordsOfColumns(AWQ_SHIFTS, 128, "float16"), "float16"),
}
"""Formats whose words hold columns."""

_ALL = FORMATS | FLOAT8 | COLUMNS

SHAPES = [(259, 352), (5, 33), (1, 200)]
"""(N, K): no whole panels, groups or vectors; less than one of them."""

TOLERANCE = {"float16": 1e-3, "bfloat16": 8e-3, "float32": 2e-6}
"""Largest error by dtype of the result, in units of the largest result."""


def _targets() -> dict[str, Target]:
    targets = {"host": HOST, "narrow": NARROW}
    avx2 = Target({"kind": "llvm", "mcpu": "x86-64-v3"})
    x86 = llvm_get_system_triple().startswith("x86_64")
    if x86 and target_has_features(["avx2", "fma", "f16c"], HOST):
        targets["avx2"] = avx2
    return targets


TARGETS = _targets()

every_format = pytest.mark.parametrize("format_name", FORMATS)
every_shape = pytest.mark.parametrize(("n", "k"), SHAPES)
every_target = pytest.mark.parametrize("target_name", TARGETS)


@dataclass(frozen=True)
class Weight:
    """The arrays a kernel reads, and the matrix (N, K) they stand for in float64."""

    arrays: list[np.ndarray]
    matrix: np.ndarray


def random_weight(
    fmt: WeightFormat, n: int, k: int, rng: np.random.Generator
) -> Weight:
    """Return a weight whose padding holds other codes than zero."""
    if isinstance(fmt, Plain):
        weight = rng.standard_normal((n, k)).astype(fmt.dtype)
        return Weight([weight], weight.astype("float64"))
    if isinstance(fmt, Float8):
        return _random_float8(fmt, n, k, rng)
    if isinstance(fmt, WordsOfColumns):
        return _random_columns(fmt, n, k, rng)
    groups = -(-k // fmt.group_size)
    largest = {3: 6, 4: 14, 8: 254}[fmt.bits]
    codes = rng.integers(0, largest + 1, (n, groups * fmt.group_size))
    scale = (0.01 + 0.1 * rng.random((n, groups))).astype(fmt.scale_dtype)
    per_word = {3: 10, 4: 8, 8: 4}[fmt.bits]
    shifts = fmt.bits * np.arange(per_word)
    words = (codes.reshape(n, -1, per_word) << shifts).sum(axis=2).astype("uint32")
    wide_scale = np.repeat(scale.astype("float64"), fmt.group_size, axis=1)
    matrix = (codes - largest // 2) * wide_scale
    arrays = [words, scale]
    if fmt.transposed:
        arrays = [np.ascontiguousarray(array.T) for array in arrays]
    return Weight(arrays, matrix[:, :k])


def _random_float8(fmt: Float8, n: int, k: int, rng: np.random.Generator) -> Weight:
    """Return a weight of all numbers whose products float16 holds, by any scale."""
    most = 0x7E if fmt.scaled else 0x48
    bits = rng.integers(0, most + 1, (n, k), dtype=np.uint8)
    bits |= rng.integers(0, 2, (n, k), dtype=np.uint8) << 7
    weight = bits.view(dtype_named(fmt.dtype))
    matrix = weight.astype("float64")
    scales = [
        (0.01 + 0.1 * rng.random(shape)).astype(dtype)
        for shape, dtype in list(fmt.arrays(n, k).values())[1:]
    ]
    for scale in scales:
        high = scale.repeat(fmt.rows, axis=0)[:n] if fmt.rows else scale
        matrix *= high.repeat(fmt.columns, axis=1)[:, :k] if fmt.rows else high
    return Weight([weight, *scales], matrix)


def _random_columns(
    fmt: WordsOfColumns, n: int, k: int, rng: np.random.Generator
) -> Weight:
    def words(rows: int) -> tuple[np.ndarray, np.ndarray]:
        codes = rng.integers(0, 16, (rows, n))
        placed = codes.reshape(rows, -1, 8) << np.array([0, 16, 4, 20, 8, 24, 12, 28])
        return placed.sum(axis=2).astype("uint32"), codes

    groups = k // fmt.group_size
    (qweight, codes), (qzeros, zeros) = words(k), words(groups)
    scales = (0.01 + 0.1 * rng.random((groups, n))).astype(fmt.scale_dtype)
    wide = (each.repeat(fmt.group_size, axis=0) for each in (zeros, scales))
    zeros, factors = wide
    return Weight([qweight, qzeros, scales], ((codes - zeros) * factors).T)


@cache
def _built(
    target_name: str,
    format_name: str,
    lead: tuple[int | str, ...],
    n: int | str,
    k: int,
    out_dtype: str,
) -> Callable[..., None]:
    fmt, dtype = _ALL[format_name]
    target = TARGETS[target_name]
    kernel = matmul(target, fmt, lead, n, k, dtype, out_dtype)
    return build_for(target, kernel.with_attr("global_symbol", "matmul"))


def assert_product(
    target_name: str,
    format_name: str,
    n: int,
    k: int,
    lead: tuple[int | str, ...],
    row_counts: list[tuple[int, ...]],
    rng: np.random.Generator,
    out_dtype: str | None = None,
) -> None:
    """Compare a kernel with the product in float64, for each shape of activations."""
    fmt, dtype = _ALL[format_name]
    out_dtype = out_dtype or dtype
    weight = random_weight(fmt, n, k, rng)
    width = "columns" if serves_any(TARGETS[target_name], fmt, n) else n
    run = _built(target_name, format_name, lead, width, k, out_dtype)
    for rows in row_counts:
        x = rng.standard_normal((*rows, k)).astype(dtype)
        out = np.full((*rows, n), np.nan, out_dtype)
        run(x, *weight.arrays, out)
        expected = x.astype("float64") @ weight.matrix.T
        error = np.abs(out - expected).max() / np.abs(expected).max()
        assert error < TOLERANCE[out_dtype], f"{rows} rows"
