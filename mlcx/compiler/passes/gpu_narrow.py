"""Integers of 64 bits made 32 bits wide in kernels: WebGPU has no others.

TVM's own pass narrows what it sees to be an index. What is left over are numbers on the
way to one: values with a name, and those that were widened by hand.
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
_NAMED = "attention"
"""What names of kernels of attention begin with."""


def NarrowIntegers() -> tvm.transform.Pass:  # noqa: N802
    """Make integers of 64 bits 32 wide in kernels of attention, buffers apart."""

    @tirx.transform.prim_func_pass(opt_level=0, name="NarrowIntegers")
    def narrow(
        func: tirx.PrimFunc, _: tvm.IRModule, __: tvm.transform.PassContext
    ) -> tirx.PrimFunc:
        # Later passes look for wide numbers in others, and TVM's narrows those well.
        if not str((func.attrs or {}).get("global_symbol", "")).startswith(_NAMED):
            return func
        return tvm_ffi.structural_map(func, _rules(), order="post")

    return narrow


def _rules() -> list[tuple[type, Callable[[Any], Expr]]]:
    """Return what becomes of each kind of node, in one function."""
    variables: dict[tirx.Var, tirx.Var] = {}

    def variable(var: tirx.Var) -> tirx.Var:
        if not _is_wide(var):
            return var
        return variables.setdefault(var, tirx.Var(var.name, _NARROW))

    def number(value: tirx.IntImm) -> Expr:
        return tirx.const(value.value, _NARROW) if _is_wide(value) else value

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
)


def _is_wide(value: Expr) -> bool:
    return isinstance(value.ty, PrimType) and str(value.ty.dtype) == _WIDE


def _cast(cast: tirx.Cast) -> Expr:
    target = _NARROW if _is_wide(cast) else str(cast.ty.dtype)
    return (
        cast.value
        if str(cast.value.ty.dtype) == target
        else tirx.Cast(target, cast.value)
    )


def _operation(node: Any) -> Expr:
    return type(node)(node.a, node.b) if _is_wide(node) else node


def _select(node: tirx.Select) -> Expr:
    parts = node.condition, node.true_value, node.false_value
    return tirx.Select(*parts) if _is_wide(node) else node


def _let(node: tirx.Let) -> Expr:
    return tirx.Let(node.var, node.value, node.body) if _is_wide(node) else node


def _call(node: Call) -> Expr:
    if not _is_wide(node):
        return node
    return Call(node.op, node.args, node.attrs, ret_ty=PrimType(_NARROW))
