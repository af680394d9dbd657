"""On the CPU, casts from and to bfloat16 as integer operations on float32's upper half.

Code generation knows bfloat16 as storage only. TVM's own legalization writes what it
rounds twice, and overlooks a cast whose result has a name. After this pass it finds
nothing to do but the arithmetic of operators without a kernel, which it does right.
"""

from __future__ import annotations

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import Expr

__all__ = ["LowerBfloat16"]


def LowerBfloat16() -> tvm.transform.Pass:  # noqa: N802
    """Lower the casts between bfloat16 and float32 in every kernel.

    To bfloat16, values round to the nearest, ties to even. Of a NaN the upper half of
    the mantissa must not be zero; those that arithmetic makes are so.
    """

    @tirx.transform.prim_func_pass(opt_level=0, name="LowerBfloat16")
    def lower(
        func: tirx.PrimFunc, _: tvm.IRModule, __: tvm.transform.PassContext
    ) -> tirx.PrimFunc:
        body = tvm_ffi.structural_map(func.body, (tirx.Cast, _lowered), order="post")
        return func.with_body(body)

    return lower


def _lowered(cast: tirx.Cast) -> Expr:
    source, _, lanes = str(cast.value.ty.dtype).partition("x")
    target = str(cast.ty.dtype).partition("x")[0]
    suffix = f"x{lanes}" if lanes else ""
    if (source, target) == ("bfloat16", "float32"):
        return _widened(cast.value, suffix)
    if (source, target) == ("float32", "bfloat16"):
        return _rounded(cast.value, suffix)
    return cast


def _widened(value: Expr, suffix: str) -> Expr:
    half = tirx.reinterpret("uint16" + suffix, value)
    wide = tirx.Cast("uint32" + suffix, half)
    return tirx.reinterpret("float32" + suffix, wide << _number(16, suffix))


def _rounded(value: Expr, suffix: str) -> Expr:
    """Add just less than half of the last place, or half where the result is odd."""
    bits = tirx.Var("bits", "uint32" + suffix)
    odd = (bits >> _number(16, suffix)) & _number(1, suffix)
    upper = (bits + _number(0x7FFF, suffix) + odd) >> _number(16, suffix)
    half = tirx.reinterpret("bfloat16" + suffix, tirx.Cast("uint16" + suffix, upper))
    return tirx.Let(bits, tirx.reinterpret("uint32" + suffix, value), half)


def _number(value: int, suffix: str) -> Expr:
    return tirx.const(value, "uint32" + suffix)
