"""The matmul of a linear layer as one function, for every weight format and row count.

How many rows of activations there are decides which kernel runs: at once when the
number is a constant, else when it is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import mul

from tvm.ir import Expr
from tvm.script.ir_builder import IRBuilder
from tvm.target import Target
from tvm.tirx import Buffer, PrimFunc, Var
from tvm.tirx.script import builder as T

from mlcx.compiler.kernels.cpu.gemm import gemm
from mlcx.compiler.kernels.cpu.gemv import gemv
from mlcx.compiler.kernels.cpu.operands import Operands
from mlcx.compiler.kernels.cpu.simd import float32_lanes
from mlcx.compiler.kernels.cpu.small_batch import small_batch
from mlcx.compiler.kernels.cpu.weights import WORDS, GroupQuantized, WeightFormat

__all__ = ["SMALL_BATCH_ROWS", "matmul"]

SMALL_BATCH_ROWS = 8
"""Up to this many rows go to the small-batch kernel, more to the GEMM."""


def matmul(
    target: Target,
    fmt: WeightFormat,
    x_shape: Sequence[int | str | Var],
    n: int,
    k: int,
    x_dtype: str,
    out_dtype: str,
) -> PrimFunc:
    """Return f(x (*x_shape, K), weights, out (*x_shape, N)) for ``call_tir``.

    ``out[..., n] = sum_k x[..., k] * W[n, k]``.

    ``x_shape`` are the leading dims, names standing for symbolic ones. Weights are
    those of ``fmt``: ``q_weight`` and ``q_scale``, or ``weight``. Dtypes of x and out
    are float16 or float32; sums are float32. For ``call_tir``: out comes last.
    """
    dims = [Var(dim, "int64") if isinstance(dim, str) else dim for dim in x_shape]
    rows = reduce(mul, dims, 1)
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("matmul")
        T.func_attr({"tirx.noalias": True, "tirx.is_scheduled": True, "op_pattern": 8})
        x = T.arg("x", T.buffer((*dims, k), x_dtype))
        weights = _weights(fmt, n, k)
        out = T.arg("out", T.buffer((*dims, n), out_dtype))
        operands = Operands(
            lanes=float32_lanes(target),
            format=fmt,
            rows=rows,
            n=n,
            k=k,
            x=T.decl_buffer((rows, k), x_dtype, data=x.data),
            x_dtype=x_dtype,
            weights=weights,
            out=T.decl_buffer((rows, n), out_dtype, data=out.data),
            out_dtype=out_dtype,
        )
        _choose(operands)
    return builder.get()


def _weights(fmt: WeightFormat, n: int, k: int) -> tuple[Buffer, ...]:
    if not isinstance(fmt, GroupQuantized):
        return (T.arg("weight", T.buffer((n, k), fmt.dtype)),)
    groups = fmt.groups(k)
    return (
        T.arg("q_weight", T.buffer((n, WORDS * groups), "uint32")),
        T.arg("q_scale", T.buffer((n, groups), fmt.scale_dtype)),
    )


def _choose(operands: Operands) -> None:
    rows = operands.rows
    if isinstance(rows, int):
        kernel = (
            gemv if rows == 1 else small_batch if rows <= SMALL_BATCH_ROWS else gemm
        )
        kernel(operands)
        return
    with T.If(rows == 1):
        with T.Then():
            gemv(operands)
        with T.Else(), T.If(rows <= SMALL_BATCH_ROWS):
            with T.Then():
                small_batch(operands)
            with T.Else():
                gemm(operands)
