"""The matmul of a linear layer as one function, for every weight format and row count.

How many rows of activations there are decides which kernel runs: at once when the
number is a constant, else when it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from operator import mul

from tvm.ir import Expr
from tvm.script.ir_builder import IRBuilder
from tvm.target import Target
from tvm.tirx import Buffer, PrimFunc, Var
from tvm.tirx.script import builder as T

from mlcx.compiler.kernels.cpu.axpy import axpy, scale
from mlcx.compiler.kernels.cpu.column_words import column_words, grouped
from mlcx.compiler.kernels.cpu.dot import dot_for
from mlcx.compiler.kernels.cpu.gemm import VECTORS, gemm
from mlcx.compiler.kernels.cpu.gemv import gemv
from mlcx.compiler.kernels.cpu.operands import Operands
from mlcx.compiler.kernels.cpu.simd import float32_lanes
from mlcx.compiler.kernels.cpu.small_batch import small_batch
from mlcx.compiler.kernels.cpu.weights import (
    Float8,
    GroupQuantized,
    WeightFormat,
    WordsOfColumns,
)

__all__ = ["FEW_ROWS", "lanes_of", "matmul", "serves_any"]

FEW_ROWS = 12
"""Up to this many rows, the GEMM is beaten: measured, with AVX-512."""


def matmul(
    target: Target,
    fmt: WeightFormat,
    x_shape: Sequence[int | str | Var],
    n: int | str,
    k: int,
    x_dtype: str,
    out_dtype: str,
) -> PrimFunc:
    """Return f(x (*x_shape, K), weights, out (*x_shape, N)) for ``call_tir``.

    ``out[..., n] = sum_k x[..., k] * W[n, k]``.

    ``x_shape`` are the leading dims, names standing for symbolic ones; ``n`` may be
    one where the kernel `serves_any`. Weights are
    those of ``fmt``, in its order. Dtypes of x and out are float16, bfloat16 or
    float32; sums are float32. For ``call_tir``: out comes last.
    """
    dims = [_size(dim) for dim in x_shape]
    columns = _size(n)
    rows = reduce(mul, dims, 1)
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("matmul")
        T.func_attr({"tirx.noalias": True, "tirx.is_scheduled": True, "op_pattern": 8})
        x = T.arg("x", T.buffer((*dims, k), x_dtype))
        weights = _weights(fmt, columns, k)
        out = T.arg("out", T.buffer((*dims, columns), out_dtype))
        operands = Operands(
            lanes=lanes_of(target, fmt),
            format=fmt,
            rows=rows,
            n=columns,
            k=k,
            x=T.decl_buffer((rows, k), x_dtype, data=x.data),
            weights=weights,
            out=T.decl_buffer((rows, columns), out_dtype, data=out.data),
            out_dtype=out_dtype,
        )
        _choose(operands)
    return builder.get()


def lanes_of(target: Target, fmt: WeightFormat) -> int:
    """Return how many float32 a vector of a kernel holds that reads ``fmt``."""
    lanes = float32_lanes(target)
    return fmt.lanes(lanes) if isinstance(fmt, Float8) else lanes


def serves_any(target: Target, fmt: WeightFormat, n: int) -> bool:
    """Say whether one kernel serves weights (``n``, K) of every N as large as this.

    It does where rows of the weight lie one after the other, and fill a tile.
    """
    by_columns = isinstance(fmt, WordsOfColumns) or (
        isinstance(fmt, GroupQuantized) and fmt.transposed
    )
    by_blocks = isinstance(fmt, Float8) and fmt.rows > 0
    return not (by_columns or by_blocks) and n >= VECTORS * lanes_of(target, fmt)


def _size(size: int | str | Var) -> int | Var:
    return Var(size, "int64") if isinstance(size, str) else size


def _weights(fmt: WeightFormat, n: Expr | int, k: int) -> tuple[Buffer, ...]:
    return tuple(
        T.arg(name, T.buffer(shape, dtype))
        for name, (shape, dtype) in fmt.arrays(n, k).items()
    )


def _choose(operands: Operands) -> None:
    """Emit the kernels that the number of rows may ask for, and the choice."""
    rows = operands.rows

    def few() -> None:
        one, by_pairs, by_fours = _few(operands)
        _either(rows == 1, one, lambda: _either(rows <= 2, by_pairs, by_fours))

    _either(rows <= FEW_ROWS, few, partial(gemm, operands))


def _few(operands: Operands) -> list[Callable[[], None]]:
    """Lay out x; return what emits the kernels for one row, for two, and for more."""
    fmt = operands.format
    if isinstance(fmt, WordsOfColumns):
        sums = grouped(operands, fmt)
        # Two rows take half of 32 registers, more would take them all.
        return [
            partial(column_words, operands, fmt, sums, block) for block in (1, 2, 2)
        ]
    if isinstance(fmt, GroupQuantized) and fmt.transposed:
        x = scale(operands, fmt)
        return [partial(axpy, operands, fmt, x, block) for block in (1, 2, 4)]
    dot = dot_for(operands)
    batches = [partial(small_batch, dot, block) for block in (2, 4)]
    return [partial(gemv, dot), *batches]


def _either(
    condition: Expr | bool, then: Callable[[], None], otherwise: Callable[[], None]
) -> None:
    """Decide now if the condition is known, else when the function is called."""
    if isinstance(condition, bool):
        (then if condition else otherwise)()
        return
    with T.If(condition):
        with T.Then():
            then()
        with T.Else():
            otherwise()
