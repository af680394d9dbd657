"""Integers of 64 bits made 32 bits wide in kernels: WebGPU has no others.

TVM's own pass narrows what it sees to be an index. What is left over are numbers on the
way to one: values with a name, and those that were widened by hand. No range has to be
shown: a buffer of WebGPU has less than 4 GiB, and elements of 16 bits at least.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import Call, Expr, PrimType

__all__ = ["NarrowIntegers"]

_WIDE, _NARROW = "int64", "int32"
_LIMIT = 2**31


def NarrowIntegers() -> tvm.transform.Pass:  # noqa: N802
    """Make integers of 64 bits 32 wide in kernels.

    Raises RuntimeError, when it runs, on a kernel with one of a kind not known here, or
    with a number that needs 64 bits.
    """

    @tirx.transform.prim_func_pass(opt_level=0, name="NarrowIntegers")
    def narrow(
        func: tirx.PrimFunc, _: tvm.IRModule, __: tvm.transform.PassContext
    ) -> tirx.PrimFunc:
        narrowed = tvm_ffi.structural_map(func, _rules(), order="post")
        # One wide number among narrow ones ends a later pass, which names no kernel.
        if left := _wide_in(narrowed):
            name = (func.attrs or {}).get("global_symbol", "?")
            kinds = ", ".join(sorted({type(each).__name__ for each in left}))
            found = f"{kinds}: {left[0]}"
            raise RuntimeError(f"kernel {name} keeps integers of 64 bits: {found}")
        return narrowed

    return narrow


def _wide_in(func: tirx.PrimFunc) -> list[Expr]:
    found: list[Expr] = []

    def note(value: Expr) -> Expr:
        if _is_wide(value):
            found.append(value)
        return value

    tvm_ffi.structural_map(func, [(Expr, note)], order="post")
    return found


def _rules() -> list[tuple[type, Callable[[Any], Expr]]]:
    """Return what becomes of each kind of node, in one function."""
    variables: dict[tirx.Var, tirx.Var] = {}

    def variable(var: tirx.Var) -> tirx.Var:
        if not _is_wide(var):
            return var
        return variables.setdefault(var, tirx.Var(var.name, _NARROW))

    def number(value: tirx.IntImm) -> Expr:
        fits = _is_wide(value) and -_LIMIT <= value.value < _LIMIT
        return tirx.const(value.value, _NARROW) if fits else value

    return [
        (tirx.Var, variable),
        (tirx.IntImm, number),
        (tirx.Cast, _cast),
        (tirx.Select, _select),
        (tirx.Let, _let),
        (Call, _call),
        *((kind, _operation) for kind in _OPERATIONS),
    ]


_OPERATIONS = (
    *(tirx.Add, tirx.Sub, tirx.Mul, tirx.Div, tirx.Mod),
    *(tirx.FloorDiv, tirx.FloorMod, tirx.Min, tirx.Max),
    *(tirx.LShift, tirx.RShift),
    *(tirx.BitwiseAnd, tirx.BitwiseOr, tirx.BitwiseXor),
)


def _is_wide(value: Expr) -> bool:
    return isinstance(value.ty, PrimType) and str(value.ty.dtype) == _WIDE


def _is_stale(node: Expr, *parts: Expr) -> bool:
    """Say whether ``node`` is wide and what it is made of no longer.

    TVM ends the process over parts of two widths.
    """
    return _is_wide(node) and not any(map(_is_wide, parts))


def _cast(cast: tirx.Cast) -> Expr:
    target = _NARROW if _is_wide(cast) else str(cast.ty.dtype)
    return (
        cast.value
        if str(cast.value.ty.dtype) == target
        else tirx.Cast(target, cast.value)
    )


def _operation(node: Any) -> Expr:
    return type(node)(node.a, node.b) if _is_stale(node, node.a, node.b) else node


def _select(node: tirx.Select) -> Expr:
    stale = _is_stale(node, node.true_value, node.false_value)
    parts = node.condition, node.true_value, node.false_value
    return tirx.Select(*parts) if stale else node


def _let(node: tirx.Let) -> Expr:
    stale = _is_stale(node, node.body)
    return tirx.Let(node.var, node.value, node.body) if stale else node


def _call(node: Call) -> Expr:
    if not _is_wide(node):
        return node
    return Call(node.op, node.args, node.attrs, ret_ty=PrimType(_NARROW))
